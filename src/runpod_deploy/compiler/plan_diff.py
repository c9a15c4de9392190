"""What differs between two plans, told by meaning: one model, whatever it is then written as.

Nothing that counts for the hash is left out: two plans of different hashes always have a difference,
and two of the same hash never have one. Prices and stock are no part of it; they are looked at
beside, since they change by themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from runpod_deploy.compiler.plan import PayloadEntry, Phase, Plan, PlanFile, Script
from runpod_deploy.compiler.plan_fields import ABSENT, Leaf, leaves, order_changes, section_of

Kind = Literal["added", "changed", "removed", "moved"]
SECTIONS = (
    "cost",
    "hardware",
    "storage",
    "secrets",
    "scripts",
    "payload",
    "artifacts",
    "run",
    "lifecycle",
    "job",
    "other",
)
"""In order of importance to somebody who approves a change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """One value of the plan that differs.

    Attributes:
        field: Dotted, such as `budget.cost_cap_usd` or `artifacts.model.required`.
        before: JSON-like data; `ABSENT` when the other plan has no such field.
        after: Likewise.
    """

    section: str
    field: str
    before: Any
    after: Any

    @property
    def kind(self) -> Kind:
        """Whether the value came, went or is another."""
        if self.before is ABSENT:
            return "added"
        return "removed" if self.after is ABSENT else "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptChange:
    """A script whose text differs; None where there is none."""

    name: str
    phase: Phase
    before: str | None
    after: str | None

    @property
    def kind(self) -> Kind:
        """Whether the script came, went or has another text."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """A file of the payload that differs.

    Attributes:
        moved_from: The path at which the same content was before, for kind `moved`.
    """

    label: str
    kind: Kind
    path: str
    before: PayloadEntry | None
    after: PayloadEntry | None
    moved_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlanDiff:
    """Everything that differs; `before` is None when the job is new."""

    before: PlanFile | None
    after: PlanFile
    fields: tuple[FieldChange, ...]
    scripts: tuple[ScriptChange, ...]
    files: tuple[FileChange, ...]

    @cached_property
    def same(self) -> bool:
        """Whether both plans do the same."""
        return self.before is not None and not (self.fields or self.scripts or self.files)

    def fields_of(self, section: str) -> tuple[FieldChange, ...]:
        """Return the changed values of one of `SECTIONS`."""
        return tuple(one for one in self.fields if one.section == section)

    def files_by_kind(self, label: str) -> Mapping[Kind, tuple[FileChange, ...]]:
        """Return the changed files of a staging; kinds without a file are left out."""
        kinds: tuple[Kind, ...] = ("added", "changed", "moved", "removed")
        mine = [one for one in self.files if one.label == label]
        grouped = {kind: tuple(one for one in mine if one.kind == kind) for kind in kinds}
        return {kind: files for kind, files in grouped.items() if files}


def compare(before: PlanFile | None, after: PlanFile) -> PlanDiff:
    """Return what `after` does otherwise than `before`; None: the job was not there."""
    if before is None:
        return PlanDiff(before=None, after=after, fields=(), scripts=(), files=())
    fields = sorted(
        changed_fields(before.plan, after.plan), key=lambda one: SECTIONS.index(one.section)
    )
    labels = dict.fromkeys([*before.payload, *after.payload])
    return PlanDiff(
        before=before,
        after=after,
        fields=tuple(fields),
        scripts=changed_scripts(before.plan, after.plan),
        files=tuple(
            change
            for label in labels
            for change in _files(label, before.payload.get(label, ()), after.payload.get(label, ()))
        ),
    )


def changed_fields(before: Plan, after: Plan) -> Iterator[FieldChange]:
    """Yield every value that differs, in the order of the plan's fields; no texts of scripts."""
    old, new = leaves(before), leaves(after)
    for field in dict.fromkeys([*old, *new]):
        was, now = old.get(field, ABSENT), new.get(field, ABSENT)
        if not _equal(was, now):
            yield FieldChange(section=section_of(field), field=field, before=was, after=now)
    for field, was, now in order_changes(before, after):
        yield FieldChange(section=section_of(field), field=field, before=was, after=now)


def _equal(one: Leaf, other: Leaf) -> bool:
    # As JSON tells them apart: true is not 1, while 1.0 and 1 are the same number there.
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def changed_scripts(before: Plan, after: Plan) -> tuple[ScriptChange, ...]:
    """Return every script whose text differs, the job's own first."""
    old, new = ({one.name: one for one in plan.scripts} for plan in (before, after))
    changes = [
        ScriptChange(
            name=name,
            phase=_phase(old.get(name), new.get(name)),
            before=old[name].text if name in old else None,
            after=new[name].text if name in new else None,
        )
        for name in dict.fromkeys([*old, *new])
        if name not in old or name not in new or old[name].text != new[name].text
    ]
    # The job's own first: ours change with the tool's version.
    order: Sequence[Phase] = ("run", "setup", "preflight", "pod")
    return tuple(sorted(changes, key=lambda one: order.index(one.phase)))


def _phase(before: Script | None, after: Script | None) -> Phase:
    script = after or before
    assert script is not None  # noqa: S101 - the name came from one of them
    return script.phase


def _files(
    label: str, before: Sequence[PayloadEntry], after: Sequence[PayloadEntry]
) -> Iterator[FileChange]:
    if before == after:  # quick where runs of a sweep share their entries
        return iter(())
    old = {one.path: one for one in before}
    new = {one.path: one for one in after}
    gone: dict[tuple[str, str], list[str]] = {}
    for path in old.keys() - new.keys():
        gone.setdefault((old[path].sha256, old[path].type), []).append(path)
    for paths in gone.values():
        paths.sort(reverse=True)
    changes, moved = [], set()
    for path, entry in new.items():
        was = old.get(path)
        if was == entry:
            continue
        source = None
        if was is None and entry.size:
            left = gone.get((entry.sha256, entry.type))
            source = left.pop() if left else None
        if source is not None:
            moved.add(source)
        changes.append(
            FileChange(
                label=label,
                kind="changed" if was else "moved" if source is not None else "added",
                path=path,
                before=was if source is None else old[source],
                after=entry,
                moved_from=source,
            )
        )
    changes += [
        FileChange(label=label, kind="removed", path=path, before=entry, after=None)
        for path, entry in old.items()
        if path not in new and path not in moved
    ]
    return iter(sorted(changes, key=lambda one: one.path))
