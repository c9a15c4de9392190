"""Rules that a rendered job must keep: one function each, grouped by what they look at."""

from collections.abc import Callable, Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved

Rule = Callable[[Resolved, Facts], Iterator[Finding]]
