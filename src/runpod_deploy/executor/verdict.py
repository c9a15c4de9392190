"""How a run ended: the exit code decides, markers are extras, and missing evidence is never success."""

from __future__ import annotations

from runpod_deploy.compiler.plan import PlanRun
from runpod_deploy.executor.markers import MarkerScanner
from runpod_deploy.executor.supervision import Report
from runpod_deploy.record.run import JobEnd


def judge(run: PlanRun, report: Report, markers: MarkerScanner) -> JobEnd:
    """Return the verdict of the contract's outcome table; pure."""
    outcome, cause = _outcome(run, report, markers)
    return JobEnd(
        outcome=outcome,
        exit_code=report.exit_code,
        cause=cause,
        log_bytes=report.log_bytes,
        success_marker_seen=markers.success_seen if run.success_marker else None,
        failure_markers_seen=tuple(markers.failures_seen),
    )


def _outcome(run: PlanRun, report: Report, markers: MarkerScanner) -> tuple[str, str | None]:
    if report.state != "exited" or report.exit_code is None:
        return "unknown", "no_exit_code"
    if report.ended_by is not None:
        return "failed", report.ended_by
    if report.exit_code != 0:
        return "failed", "exit_code"
    if run.success_marker and not markers.success_seen:
        return "failed", "marker_missing"
    if markers.failures_seen and run.fail_on_markers:
        return "failed", "failure_marker"
    return "succeeded", None
