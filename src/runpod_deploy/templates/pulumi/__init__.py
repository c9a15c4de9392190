"""The Pulumi project that `export pulumi` writes."""

import re
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from runpod_deploy.compiler.canonical import quote
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps

_FOLDER = Path(__file__).parent
# The folder is never staged: a plan would otherwise go stale by being written into its own payload.
_KEEP_OUT = b"# Nothing in here travels to a pod.\n*\n"


def project_files(plan_file: PlanFile, project: str) -> dict[str, bytes]:
    """Return the files of the project: name to content.

    Args:
        plan_file: The plan that it applies.
        project: Path from the program's folder to the project root, `/` separators.
    """
    plan = plan_file.plan
    environment = Environment(  # noqa: S701 - Python and YAML, quoted by the `quoted` filter
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    environment.filters["quoted"] = quote
    slug = re.sub(r"[^a-z0-9]+", "-", plan.job.name.lower()).strip("-")[:60] or "job"
    values = {
        "job": plan.job.name,
        "slug": slug,
        "project": project,
        "volume": plan.storage.volume_name if plan.storage.mode == "network_volume" else None,
    }
    files = {
        name: environment.from_string((_FOLDER / f"{name}.j2").read_text("utf-8")).render(values)
        for name in ("Pulumi.yaml", "__main__.py", "requirements.txt")
    }
    return {
        **{name: text.encode() for name, text in files.items()},
        "plan.json": dumps(plan_file),
        ".runpodignore": _KEEP_OUT,
    }
