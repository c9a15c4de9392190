"""A valid file is read without what only the explanation of errors needs."""

import subprocess
import sys

_JOB = """\
schema_version: 3
name: demo
pod: {gpu_order: [NVIDIA L4], image: a}
run: {body: "true"}
"""
_READ = """
import sys
from runpod_deploy.schema.load import load_bytes
load_bytes(sys.stdin.buffer.read(), display="job.yaml")
print(sorted({"jsonschema", "difflib", "rich", "jinja2", "typer"} & set(sys.modules)))
"""


def test_no_import_for_errors_that_are_not_there() -> None:
    """Loading a valid file imports neither `jsonschema` nor `difflib`, nor anything of the views."""
    done = subprocess.run(
        [sys.executable, "-c", _READ], input=_JOB, capture_output=True, check=True, text=True
    )

    assert done.stdout == "[]\n"
