"""Jobs and plans for the tests of compiler and facts."""

from dataclasses import fields
from typing import Any

import yaml

from runpod_deploy.compiler.compile import check_job, compile_job
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.plan import Observed, PayloadEntry, Plan, PlanFile
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.errors import Severity
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.plain import from_plain, to_plain

PLAN_ID = "0123456789abcdef" * 2
OBSERVED = Observed(compiled_at="2026-01-02T03:04:05Z", tool_version="0.0.0")
HOSTILE_SHELL = (
    "echo ${HOME}",
    "n=${#a[@]}",
    "printf '{%s}' x",
    "awk '{print $1}' file",
    "echo '{# x #}'",
    "{% if x %} {%- raw -%}",
    "cat <<EOF\nx\nEOF",
    "BASH",
    "EOF",
    "'",
    '"',
    "a\r\nb\rc\r\n",
    "echo {seed} {{not",
    "%% ## <% %> <# #>",
    "\\{{ \\n \\",
    "é ünï \u2028 \x0b \U0001f600",
    "}} }} { ",
)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it, mappings merged."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def job(over: dict[str, Any] | None = None, **variables: str) -> JobConfig:
    """Return a small valid job with `over` laid over it, and `variables` declared."""
    base = {
        "schema_version": 3,
        "name": "hello",
        "pod": {"image": "runpod/base:1.0", "gpu_order": ["NVIDIA A40"]},
        "run": {} if "script" in (over or {}).get("run", {}) else {"body": "true\n"},
    }
    if variables:
        base["variables"] = variables
    whole = merged(base, over or {})
    if "cpu" in whole["pod"] and "gpu_order" not in (over or {})["pod"]:
        del whole["pod"]["gpu_order"]
    text = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)
    return load_bytes(text.encode(), display="job.yaml")


def unchecked(over: dict[str, Any]) -> JobConfig:
    """Return the job of `job`, with `over` laid over it past the schema, as Python code may."""
    base = job()
    data = {f.name: to_plain(getattr(base, f.name)) for f in fields(base) if f.name != "source"}
    return from_plain(JobConfig, merged(data, over), ready={"source": base.source})


def from_text(text: str) -> JobConfig:
    """Return the job that `text`, a whole job file, says."""
    return load_bytes(text.encode(), display="job.yaml")


def plan_of(config: JobConfig, **facts: Any) -> Plan:
    """Return the plan of `config`, made with the given facts."""
    return compile_job(config, Facts(job_file="job.yaml", **facts))


def plan_file_of(config: JobConfig, **facts: Any) -> PlanFile:
    """Return the plan file of `config`, made with the given facts."""
    return make_plan_file(plan_of(config, **facts), facts.get("payload", {}), OBSERVED, PLAN_ID)


def codes(config: JobConfig, severity: Severity = Severity.ERROR, **facts: Any) -> list[str]:
    """Return the codes of all diagnostics of `severity` about `config`."""
    found = check_job(config, Facts(job_file="job.yaml", **facts))
    return [diagnostic.code for diagnostic in found if diagnostic.severity is severity]


def a_file(path: str, **over: Any) -> PayloadEntry:
    """Return a payload entry of an empty file."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    return PayloadEntry(
        **({"path": path, "type": "file", "size": 0, "exec": False, "sha256": empty} | over)
    )
