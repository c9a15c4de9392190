"""What a reader of a version 2 file should know: where this release does something else, and why."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.schema.report import Report
from runpod_deploy.schema.v2.yaml11 import respelled
from runpod_deploy.schema.yaml_source import YamlSource

ASSUMED_RATE, COST_CAP = 1.65, 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Notes:
    """Takes notes about the values of one document."""

    source: YamlSource
    report: Report

    def add(
        self, code: str, summary: str, detail: str, pointer: str, *, help: str | None = None
    ) -> None:
        """Note something at the value of `pointer`, or at the nearest one above that is written."""
        positions = self.source.positions
        while pointer not in positions:
            pointer = pointer.rpartition("/")[0]
        place = self.source.key_positions.get(pointer) or positions[pointer]
        self.report.note(code, summary, detail, place, help=help)

    def version(self) -> None:
        """Note that nothing says which version the file is."""
        self.add(
            "version-missing",
            "The file is read as version 2",
            "It does not say its version, and version 2 is what that means.",
            "",
            help="Say so in the file:\n\n  schema_version: 2\n\n"
            "A new job file says `schema_version: 3`; `runpod-deploy init` writes one.",
        )

    def spelling(self) -> None:
        """Note a value that earlier releases understood otherwise than it is spelt."""
        for pointer in ("/variables", "/remote_env/exports"):
            for key, text, before in respelled(self.source.root.find(pointer), self.report):
                self.add(
                    "v2-spelling",
                    "A value is taken as it is spelt",
                    f"`{text}` without quotes was read as `{before}` by earlier releases.",
                    f"{pointer}/{key}",
                    help="Put it in quotes in the spelling that the job needs.",
                )

    def changes(self, data: Mapping[str, Any]) -> None:
        """Note where earlier releases did something that could cost money or results."""
        self.add(
            "v2-exit-status",
            "The exit status decides about success",
            "The run succeeds when the body exits with 0 and the marker was seen. Earlier releases "
            "looked only for texts in the log; failure markers now only help to tell a cause.",
            "/run/success_marker",
        )
        for index, artifact in enumerate(data.get("artifacts", ())):
            if "delete" not in artifact:
                self.add(
                    "v2-artifact-delete",
                    "Local results are not deleted",
                    "Earlier releases deleted what lay at `local_path` and was not on the pod. That "
                    "is done only where it is written.",
                    f"/artifacts/{index}",
                    help="If it is meant:\n\n  delete: true",
                )
        self._environment(data)
        self._budget(data.get("budget", {}))
        self._local(data)

    def _environment(self, data: Mapping[str, Any]) -> None:
        if data.get("remote_env", {}).get("exports"):
            self.add(
                "v2-exports",
                "Exports reach the body as well",
                "Earlier releases gave them to commands with `with_env` only.",
                "/remote_env/exports",
            )
        if posixpath.basename(data["run"]["log_path"]) != "run.log":
            self.add(
                "v2-log-copy",
                "The local copy of the log is called run.log",
                "Earlier releases gave it the name that it has on the pod.",
                "/run/log_path",
            )

    def _budget(self, budget: Mapping[str, Any]) -> None:
        if budget.get("max_runtime_minutes") is None:
            rate = budget.get("assumed_hourly_rate_usd", ASSUMED_RATE)
            minutes = budget.get("cost_cap_usd", COST_CAP) / rate * 60
            self.add(
                "v2-real-cost",
                "The cap is held against the real cost",
                f"Earlier releases ended the job after {minutes:.0f} minutes, the cap divided by an "
                "assumed rate. The pod's real price, its disks and all of its time count now.",
                "/budget/cost_cap_usd",
                help="For a limit in minutes, write `budget.max_runtime_minutes`.",
            )

    def _local(self, data: Mapping[str, Any]) -> None:
        for index, entry in enumerate(data.get("staging", ())):
            if not entry["source"].startswith(("/", "~", "{")):
                self.add(
                    "v2-staging-source",
                    "Sources are relative to the project root",
                    "Earlier releases looked for them in the folder that the command was called in.",
                    f"/staging/{index}/source",
                )
