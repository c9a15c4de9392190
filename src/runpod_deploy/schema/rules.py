"""Rules between keys that JSON Schema cannot say, or not in words that help."""

from collections.abc import Iterator
from typing import Any

from runpod_deploy.schema.pointer import child, dotted
from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.reserved_rules import report_cluster_rules
from runpod_deploy.schema.sweep_rules import report_sweep_rules
from runpod_deploy.schema.yaml_source import YamlSource

BUILT_IN_VARIABLES = (
    "config_dir",
    "project_root",
    "run_dir",
    "run_id",
    "job_name",
    "volume_mount",
    "pod_id",
    "gpu_id",
    "datacenter_id",
)
"""Names that every template knows without their being declared."""

_UNIQUE_NAMES = {"staging": "label", "secrets": "name", "artifacts": "label"}
_OWN_ENV = ("PUBLIC_KEY", "RUNPOD_DEPLOY_META", "RUNPOD_DEPLOY_API_URL")


def report_broken_rules(source: YamlSource, report: Report) -> None:
    """Note every broken rule; parts of another shape than the schema's are passed over."""
    data = source.data
    if not isinstance(data, dict):
        return
    report_shadowed(data, BUILT_IN_VARIABLES, source, report)
    report_ports(data, source, report)
    report_sweep_rules(data, BUILT_IN_VARIABLES, source, report)
    report_cluster_rules(data, source, report)
    _pod_env(data, source, report)
    _storage(data, source, report)
    for section, key in _UNIQUE_NAMES.items():
        _duplicate_names(data, section, key, source, report)


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def report_shadowed(
    data: dict[str, Any], built_in: tuple[str, ...], source: YamlSource, report: Report
) -> None:
    """Note every variable that has the name of a built-in one."""
    for name in _section(data, "variables"):
        if name in built_in:
            report.error(
                "shadowed-variable",
                "Variable hides a built-in one",
                f"`{name}` is known to every template, and a variable of this name would hide it.",
                source.key_positions[child("/variables", name)],
                help="Choose another name.",
            )


def report_ports(data: dict[str, Any], source: YamlSource, report: Report) -> None:
    """Note every port whose number cannot be."""
    ports = _section(data, "pod").get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        number = port.partition("/")[0] if isinstance(port, str) else ""
        written = number.isascii() and number.isdecimal() and len(number) <= 5
        if written and not 1 <= int(number) <= 65535:
            report.error(
                "out-of-range",
                "Value out of range",
                f"`{number}` is no port: ports go from 1 to 65535.",
                source.positions[f"/pod/ports/{index}"],
            )


def _pod_env(data: dict[str, Any], source: YamlSource, report: Report) -> None:
    env = _section(data, "pod").get("env")
    for name in env if isinstance(env, dict) else ():
        if name in _OWN_ENV:
            report.error(
                "reserved-name",
                "Reserved name",
                f"The pod's `{name}` is set by runpod-deploy, so the value here would be lost.",
                source.key_positions[child("/pod/env", name)],
                help="Remove the line. A key of your own goes into `ssh.key_path`."
                if name == "PUBLIC_KEY"
                else "Remove the line.",
            )


def _storage(data: dict[str, Any], source: YamlSource, report: Report) -> None:
    storage = _section(data, "storage")
    mode = storage.get("mode", "none")
    made = mode == "network_volume" and storage.get("create") is True
    for key, needed in (
        ("volume_name", "network_volume"),
        ("create", "network_volume"),
        ("volume_gb", "network_volume" if made else "ephemeral"),
    ):
        if storage.get(key) not in (None, False) and mode != needed and mode in _MODES:
            report.error(
                "no-effect",
                "Key without effect",
                f"`storage.{key}` works only with `mode: {needed}`, and the mode is `{mode}`"
                + ("." if "mode" in storage else ", which is the default."),
                source.key_positions[f"/storage/{key}"],
                help=f"Write `mode: {needed}`, or remove the line.",
            )


_MODES = ("none", "ephemeral", "network_volume")


def _duplicate_names(
    data: dict[str, Any], section: str, key: str, source: YamlSource, report: Report
) -> None:
    first: dict[str, int] = {}
    for index, name in _names(data.get(section), key):
        if name not in first:
            first[name] = index
            continue
        pointer = f"/{section}/{first[name]}/{key}"
        report.error(
            "duplicate-name",
            "Duplicate name",
            f"`{dotted(f'/{section}/{index}')}` has the same {key} `{shorten(name)}` as "
            f"`{dotted(f'/{section}/{first[name]}')}` in line {source.positions[pointer].line}.",
            source.positions[f"/{section}/{index}/{key}"],
            help=f"Give each its own {key}.",
        )


def _names(entries: Any, key: str) -> Iterator[tuple[int, str]]:
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield index, name
