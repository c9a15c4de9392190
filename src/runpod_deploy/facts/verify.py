"""Whether a saved plan is what its commit gives: compiled again from git's objects alone.

The commit, the patch and the archive kept beside the plan are laid out in a folder of their own and
planned as if somebody had just checked them out. Work tree and index are not touched. Files that were
too large to be kept are looked for in the work tree and count only with the digest that was planned.
"""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from runpod_deploy._version import __version__
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.freshness import Drift, Now, can_apply
from runpod_deploy.compiler.plan import GitFacts, PayloadEntry, PlanFile
from runpod_deploy.compiler.planfile import plan_hash
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.facts.gather import Found, gather_resolution
from runpod_deploy.facts.git_tree import GitTree, open_tree
from runpod_deploy.facts.kept_source import archive_file, patch_file
from runpod_deploy.facts.lfs import without_pointers
from runpod_deploy.facts.lockfile import find_lockfile, is_lockfile
from runpod_deploy.facts.reasons import reasons
from runpod_deploy.facts.replan import first_problem
from runpod_deploy.facts.revision import LaidOut, laid_out, lay_out_early, loaded
from runpod_deploy.facts.source_archive import unpack
from runpod_deploy.facts.stand_in import StandIns, stand_ins
from runpod_deploy.schema.job import JobConfig

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PATCH_OF_RUN = "source.patch"
"""What a run folder, which holds the plan of its run, calls the patch."""
_MOST_BYTES = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What came out.

    Attributes:
        commit: The plan's commit.
        compiled_hash: The hash of what it gives; None when it gives no plan.
        drifts: Where that differs from the plan; none: the plan is proven.
        changes: What was laid over the commit, in words.
        notes: What was taken on other grounds, and probable reasons of differences; in sentences.
    """

    commit: str
    compiled_hash: str | None
    drifts: tuple[Drift, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def verify(
    plan_file: PlanFile,
    plan: Path,
    toplevel: Path,
    *,
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> Verified:
    """Compile the job of a saved plan from the plan's commit, and hold both against each other.

    Args:
        plan: Where the plan lies, and beside it what was kept.
        toplevel: A work tree of the repository, links resolved.

    Raises:
        InvalidInput: It cannot be told: no such commit here, nothing kept, another version of the
            tool.
        PlanRefused: What was kept beside the plan was changed.
    """
    with laid_out_commit([plan_file], plan, toplevel, environ) as bench:
        outcome = bench.compiled(plan_file, allow_paths)
    return replace(outcome, changes=bench.changes)


@contextmanager
def laid_out_commit(
    plan_files: Sequence[PlanFile],
    plan: Path,
    toplevel: Path,
    environ: Mapping[str, str] | None = None,
) -> Iterator["Bench"]:
    """Lay the commit of plans that were made together out, with what was kept beside them.

    Raises:
        InvalidInput, PlanRefused: As `verify`.
    """
    environ = os.environ if environ is None else environ
    first = plan_files[0]
    git = _verifiable(first)
    for one in plan_files:
        if _origin(one) != _origin(first):
            raise InvalidInput("the plans of the sweep were not made together, from one commit")
        for staging in one.plan.staging:
            _inside(git, staging.source)
    job = _inside(git, first.plan.job.file)
    kept = _Kept.read(first, git, plan)
    with TemporaryDirectory(prefix="runpod-deploy-") as place:
        tree = _open(toplevel, git, Path(os.path.realpath(place)), environ)
        if kept.patch:
            tree = _patched(tree, kept)
        unpacked = kept.unpacked(tree)
        yield Bench(
            git=git,
            job=job,
            tree=tree,
            toplevel=toplevel,
            unpacked=frozenset(unpacked),
            changes=kept.told(unpacked),
        )


def _origin(plan_file: PlanFile) -> tuple[object, ...]:
    seen = plan_file.observed
    return (seen.git, seen.tool_version, seen.untracked_sha256, plan_file.plan.job.file)


def _verifiable(plan_file: PlanFile) -> GitFacts:
    seen = plan_file.observed
    if seen.git is None or seen.git.sha is None or not _COMMIT.fullmatch(seen.git.sha):
        raise InvalidInput(
            "the plan names no commit: it was made outside of a git repository, or before the first "
            "commit, and there is nothing to verify it against"
        )
    if seen.tool_version != __version__:
        raise InvalidInput(
            f"the plan was made by runpod-deploy {seen.tool_version}, and this is {__version__}: "
            "another version may plan the same job otherwise",
            help=f"Verify it with version {seen.tool_version}.",
        )
    return seen.git


def _inside(git: GitFacts, path: str) -> str:
    """Return a path of the plan relative to the top level."""
    whole = posixpath.normpath(posixpath.join(git.prefix, path))
    if whole.startswith("/") or whole.split("/")[0] == "..":
        raise InvalidInput(
            f"{path} lies outside of the repository: what was in it when the plan was made is not "
            "known to git, so the plan cannot be verified"
        )
    return whole


def _open(toplevel: Path, git: GitFacts, place: Path, environ: Mapping[str, str]) -> GitTree:
    assert git.sha is not None  # noqa: S101 - `_verifiable` saw to it
    try:
        return open_tree(toplevel, git.sha, place, environ)
    except InvalidInput as error:
        if not error.message.startswith("git knows no commit"):
            raise
        raise InvalidInput(
            f"the plan was made from the commit {git.sha}, which is not in {toplevel}",
            help="It is another repository, or a shallow clone. There, fetch the commit:\n"
            f"  git fetch --depth 1 origin {git.sha}",
        ) from error


def _patched(tree: GitTree, kept: "_Kept") -> GitTree:
    try:
        return tree.with_patch(kept.patch)
    except InvalidInput as error:
        raise InvalidInput(
            f"{kept.patch_name} cannot be laid over the commit: {error.message}"
        ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What lies beside the plan, as its digests say."""

    patch: bytes
    archive: bytes
    patch_name: str
    archive_name: str

    @classmethod
    def read(cls, plan_file: PlanFile, git: GitFacts, plan: Path) -> "_Kept":
        """Return it; raises InvalidInput when something is missing, PlanRefused when changed."""
        patch, archive = patch_file(plan), archive_file(plan)
        in_run = plan.with_name(_PATCH_OF_RUN)
        if not patch.exists() and in_run.exists():
            patch = in_run
        return cls(
            patch=_beside(patch, git.patch_sha256, "changes that were not committed"),
            archive=_beside(
                archive, plan_file.observed.untracked_sha256, "files that git does not hold"
            ),
            patch_name=patch.name,
            archive_name=archive.name,
        )

    def unpacked(self, tree: GitTree) -> tuple[str, ...]:
        """Write what the archive holds into the tree's folder, and return the names."""
        if not self.archive:
            return ()
        return unpack(self.archive, tree.folder, tree.entries, self.archive_name)

    def told(self, unpacked: Sequence[str]) -> tuple[str, ...]:
        """Return it in words."""
        files = self.patch.count(b"\ndiff --git ") + self.patch.startswith(b"diff --git ")
        patch = [f"{_count(files)} changed, in {self.patch_name}"] if self.patch else []
        more = [f"{_count(len(unpacked))} untracked, in {self.archive_name}"] if unpacked else []
        return (*patch, *more)


def _beside(file: Path, sha256: str | None, what: str) -> bytes:
    if sha256 is None:
        return b""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"the plan was made with {what}, and {file.name}, which holds them, is not beside it",
            help="`plan -o` writes it beside the plan; bring both.",
        ) from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PlanRefused(
            f"{file.name} is not what the plan was made with: it was changed, is of another plan, or "
            "a password in an address was taken out when it was saved"
        )
    return data


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The laid out commit, and what is to be found in it.

    Attributes:
        job: The job file relative to the top level.
        toplevel: The work tree.
        unpacked: What was kept of files that git does not hold.
        changes: What was laid over the commit, in words.
        found: Files that were looked up, for the next plan.
    """

    git: GitFacts
    job: str
    tree: GitTree
    toplevel: Path
    unpacked: frozenset[str]
    changes: tuple[str, ...]
    found: Found = field(default_factory=dict, repr=False)

    def compiled(self, plan_file: PlanFile, allow_paths: Sequence[Path]) -> Verified:
        """Return how the plan that the commit gives differs from the one that was saved."""
        if not self.has_job:
            return self._without_plan(plan_file, "there is no such file in it")
        try:
            config = self.config(plan_file, plan_file.observed.overrides, allow_paths)
            for staging in plan_file.plan.staging:
                self._make_empty(plan_file, staging.label, staging.source)
            laid = laid_out(self.tree, self.job, config, allow_paths)
            stood = stand_ins(plan_file, laid.project, self.tree, self.unpacked, self.toplevel)
            try:
                return self._held(plan_file, laid, stood)
            finally:
                # They stand for what this plan says; of another one they would be files.
                for place in stood.places:
                    place.unlink()
        except InvalidInput as error:
            return self._without_plan(plan_file, first_problem(error))

    @property
    def has_job(self) -> bool:
        """Whether the job file is there."""
        return (self.tree.folder / self.job).is_file() or self.job in self.tree.entries

    def config(
        self, plan_file: PlanFile, overrides: Mapping[str, str], allow_paths: Sequence[Path]
    ) -> JobConfig:
        """Return the job with variables set from outside.

        Raises:
            InvalidInput: It cannot be read.
        """
        lay_out_early(self.tree, self.job)
        return loaded(self.tree, self.job, plan_file.plan.job.file, overrides, allow_paths)

    def _make_empty(self, plan_file: PlanFile, label: str, source: str) -> None:
        """Make a source that is an empty folder: git holds none."""
        folder = self.tree.folder / _inside(self.git, source)
        if not plan_file.payload[label] and not os.path.lexists(folder):
            folder.mkdir(parents=True)

    def _held(self, plan_file: PlanFile, laid: LaidOut, stood: StandIns) -> Verified:
        project = laid.project
        locks = [path for path in self.tree.entries if is_lockfile(path.rpartition("/")[2])]
        self.tree.lay_out(locks)
        known = None if stood.files else self.found
        facts = gather_resolution(laid.resolution, project, use_cache=False, found=known)
        payload = dict(self._payload(plan_file, laid, facts.payload, stood))
        plan, _ = compile_resolution(laid.resolution, replace(facts, payload=payload))
        now = Now(
            payload=payload,
            tool_version=__version__,
            plan=plan,
            git=self.git,
            lockfile=find_lockfile(project.root, self.tree.folder),
        )
        drifts = can_apply(plan_file, now)
        told = reasons(plan_file, payload, project, self.tree) if drifts else ()
        return Verified(
            commit=self.tree.commit,
            compiled_hash=plan_hash(plan),
            drifts=drifts,
            changes=(),
            notes=(*stood.notes, *told),
        )

    def _payload(
        self,
        plan_file: PlanFile,
        laid: LaidOut,
        found: Mapping[str, Sequence[PayloadEntry]],
        stood: StandIns,
    ) -> Iterator[tuple[str, tuple[PayloadEntry, ...]]]:
        for entry in laid.resolution.config.staging:
            planned = {one.path: one for one in plan_file.payload.get(entry.label, ())}
            source = laid.project.locate(entry.source)
            entries = without_pointers(self.tree, source, found.get(entry.label, ()), planned)
            yield (
                entry.label,
                tuple(
                    planned[one.path] if (entry.label, one.path) in stood.files else one
                    for one in entries
                ),
            )

    def _without_plan(self, plan_file: PlanFile, problem: str) -> Verified:
        now = Now(payload=plan_file.payload, tool_version=__version__, problem=problem)
        drifts = can_apply(plan_file, now)
        return Verified(
            commit=self.tree.commit,
            compiled_hash=None,
            drifts=tuple(one for one in drifts if one.field == "job"),
            changes=(),
            notes=(),
        )
