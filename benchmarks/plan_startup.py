"""How long a plan takes from the shell, against importing the libraries it cannot do without.

Exits 1 when the median ratio is above the target, 2 when a command does not work.
"""

import sys
from collections.abc import Sequence

import paired

JOB = "examples/hello/job.yaml"
IMPORTS = "import typer, yaml, jsonschema, jinja2"
SUBJECT = paired.Subject(
    name="plan start-up",
    ours=(sys.executable, "-m", "runpod_deploy", "plan", JOB),
    baseline=(sys.executable, "-c", IMPORTS),
    labels=(f"runpod-deploy plan {JOB}", IMPORTS),
    target=1.5,
)


def main(argv: Sequence[str] | None = None, measure: paired.Measure = paired.seconds) -> int:
    """Measure, print, and return the exit status."""
    return paired.main(SUBJECT, __doc__, argv, measure)


if __name__ == "__main__":
    sys.exit(main())
