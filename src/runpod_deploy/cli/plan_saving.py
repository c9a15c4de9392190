"""Saves a plan, and beside it what it was made from and git does not hold."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.cli.amounts import size
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.saving import save
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps
from runpod_deploy.compiler.sweep_diff import shard_name
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.compiler.sweepfile import dumps as dump_sweep
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.kept_source import KeptSource, archive_file, kept_source, patch_file
from runpod_deploy.facts.own_payload import travelling_with
from runpod_deploy.facts.plan_sweep import each_config
from runpod_deploy.schema.job import JobConfig

_SHOWN = 3


def save_plan(
    out: Path,
    plan_file: PlanFile,
    config: JobConfig,
    allow_paths: Sequence[Path],
    terminal: Terminal,
) -> PlanFile:
    """Write a plan that was just made, and return it as it was written.

    Raises:
        InvalidInput: A file cannot be written, or something changed meanwhile.
    """
    if out.exists() and not out.is_file():
        save(out, dumps(plan_file))  # a pipe or a device has no neighbours
        return plan_file
    kept = kept_source([plan_file], config, allow_paths=allow_paths)
    plan_file = _with_archive(plan_file, kept)
    _write(out, dumps(plan_file), kept, terminal)
    _warn(out, travelling_with(out, plan_file, config, allow_paths), terminal)
    return plan_file


def save_sweep(
    out: Path,
    sweep: SweepFile,
    config: JobConfig,
    allow_paths: Sequence[Path],
    terminal: Terminal,
) -> SweepFile:
    """Write a sweep that was just made, and return it as it was written; raises as `save_plan`."""
    if out.exists() and not out.is_file():
        save(out, dump_sweep(sweep))
        return sweep
    kept = kept_source(sweep.shards, config, allow_paths=allow_paths)
    sweep = replace(sweep, shards=tuple(_with_archive(one, kept) for one in sweep.shards))
    _write(out, dump_sweep(sweep), kept, terminal)
    # Which stagings there are is the same in all runs; where they lie may differ.
    by_sources = {tuple(st.source for st in one.plan.staging): one for one in sweep.shards}
    jobs = dict(zip(map(shard_name, sweep.shards), each_config(config), strict=True))
    labels = (
        travelling_with(out, one, jobs[shard_name(one)], allow_paths) for one in by_sources.values()
    )
    _warn(out, next(filter(None, labels), None), terminal)
    return sweep


def _with_archive(plan_file: PlanFile, kept: KeptSource | None) -> PlanFile:
    if kept is None:
        return plan_file
    observed = replace(plan_file.observed, untracked_sha256=kept.archive_sha256)
    return replace(plan_file, observed=observed)


def _write(out: Path, document: bytes, kept: KeptSource | None, terminal: Terminal) -> None:
    _put(patch_file(out), kept.patch if kept else b"")
    _put(archive_file(out), kept.archive if kept else b"")
    save(out, document)
    if kept is not None:
        _tell(kept, out, terminal)


def _warn(out: Path, label: str | None, terminal: Terminal) -> None:
    """Tell of a plan that lies in what it sends."""
    if label is not None:
        terminal.alert(
            f"{terminal.err.warn('warning:')} {line(str(out))} lies in what the staging "
            f"{line(label)!r} sends, so the plan is stale now that it is there.\n"
            f"{terminal.err.bold('help:')} Save it elsewhere, or as plan.json or NAME.plan.json, "
            "which stay behind by default; or leave it behind:\n"
            f"  echo '/{line(out.name)}*' >> .runpodignore"
        )


def _put(file: Path, content: bytes) -> None:
    """Write `content`; where there is none, what an earlier plan left there goes."""
    if content:
        save(file, content)
        return
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be deleted: {error.strerror or error}") from error


def _tell(kept: KeptSource, out: Path, terminal: Terminal) -> None:
    beside = [patch_file(out).name] if kept.patch else []
    beside += [archive_file(out).name] if kept.archive else []
    if beside:
        terminal.say(
            f"Not all of it is committed; what the commit lacks is beside the plan, in "
            f"{' and '.join(map(line, beside))}."
        )
    if kept.left_out:
        names = ", ".join(line(name) for name, _ in kept.left_out[:_SHOWN])
        more = len(kept.left_out) - _SHOWN
        total = size(sum(number for _, number in kept.left_out))
        terminal.say(
            f"Too large to be kept beside it: {names}{f' and {more} more' if more > 0 else ''} "
            f"({total}). `plan verify` looks for them in the work tree."
        )
    if kept.stripped:
        terminal.alert(
            f"{terminal.err.warn('warning:')} the changes hold an address with a user or a password, "
            f"which was taken out of {line(patch_file(out).name)}: `plan verify` cannot prove this "
            "plan."
        )
