"""Carries a plan out, undoes it on failure and writes down each event: touches the world."""

import sys

# Where Rich and Click are installed, httpx loads its own command line with them, which takes as long
# as the rest of it. It does without when that module cannot be imported, and nothing here needs it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
