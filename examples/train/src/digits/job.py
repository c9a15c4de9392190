"""What ties a script to the job that runs it: marks for its steps, and the token it is given."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def step(name: str) -> Iterator[None]:
    """Mark a step in the log; one that raises is never marked as done."""
    print(f"__RUNPOD_STEP_START__{name}__", flush=True)
    yield
    print(f"__RUNPOD_STEP_DONE__{name}__", flush=True)


def token(environ: Mapping[str, str] = os.environ) -> str:
    """Return the signing token; end the script with the reason when there is none."""
    value = environ.get("TRAIN_TOKEN", "")
    if not value:
        message = "TRAIN_TOKEN is not set: it signs the model. Any text will do for a trial."
        raise SystemExit(message)
    return value
