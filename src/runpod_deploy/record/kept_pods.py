"""The pods that jobs keep for their next run, in a state file: who made each, from what, and who has it.

The file is `{format, pod_id, gpu_id, image, datacenter_id, pods: [entry, …]}`; what stands beside
`pods` is of the newest entry, for readers of earlier releases. An entry is found again only by the
job that kept it, on the account of the same address and by the same owner. Nothing in it is
believed: the pod itself is asked before it is used.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.file_lock import locked

KEPT_FORMAT = "runpod-deploy.kept/1"
OWN_FOLDER = ".runpod-deploy"
_IGNORED = "# Pods that are kept for the next run: true on this machine alone.\n"
_IGNORED += "/*.json\n!/job.schema.json\n/.*.lock\n/.gitignore\n"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """Whose pod it is: nobody else finds it.

    Attributes:
        cloud: `runpod` or `emulator`.
        job_file: Relative to the project root: two jobs of one name do not share a pod.
        shard: Of a sweep; None without one.
    """

    cloud: str
    api_url: str
    owner: str
    job: str
    job_file: str
    shard: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPod:
    """A pod that waits, stopped, for the next run of its job.

    Attributes:
        made_as: What the create call fixed, by the names of the job file.
        run_dir: The folder of the run that kept it.
        kept_at: When, `ts_utc`.
        host_keys: Fingerprints that the pod showed so far; its log still names them.
        claimed_by: The folder of the run that has it now; None while nobody has.
    """

    binding: Binding
    pod_id: str
    pod_name: str
    gpu_id: str
    cloud_type: str
    datacenter_id: str | None
    image: str | None
    made_as: Mapping[str, Any]
    run_dir: str
    kept_at: str
    host_keys: tuple[str, ...] = ()
    claimed_by: str | None = None


class NoStateFile(OSError):
    """What lies at the place of a state file is something else, and is left alone."""


@dataclass(kw_only=True, slots=True)
class KeptPods:
    """A state file.

    Attributes:
        file: Absolute.
    """

    file: Path

    def read(self) -> tuple[KeptPod, ...]:
        """Return the entries, newest last; a file that is not there has none.

        Raises:
            NoStateFile: It is a file of another kind.
            OSError: It cannot be read.
        """
        try:
            with self.file.open("rb") as stream:
                raw = stream.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return ()
        return _entries(raw, self.file)

    def claim(self, binding: Binding, run_dir: str, gone: Callable[[str], bool]) -> KeptPod | None:
        """Take the newest pod of a job that nobody has; from then on no other run takes it.

        What this run has claimed already is had again.

        Args:
            run_dir: The folder of the run that takes it.
            gone: Whether the run that holds a claim is no more, given its folder.

        Raises:
            OSError: The file is another one, or cannot be written.
        """
        if not self.file.exists():
            return None
        with self._changing() as entries:
            for entry in reversed(entries):
                holder = entry.claimed_by
                if entry.binding == binding and (holder in (None, run_dir) or gone(holder)):
                    taken = replace(entry, claimed_by=run_dir)
                    entries[entries.index(entry)] = taken
                    return taken
        return None

    def keep(self, entry: KeptPod) -> KeptPod | None:
        """Remember a pod for the next run of its job, unless another one waits for that already.

        Returns:
            The other one, and nothing is changed; None when `entry` is remembered.

        Raises:
            OSError: The file is another one, or cannot be written.
        """
        self._make_folder()
        with self._changing() as entries:
            # The pods of an emulator are gone with it.
            entries[:] = [one for one in entries if not _outlived(one.binding, entry.binding)]
            for other in entries:
                same = other.binding == entry.binding and other.pod_id != entry.pod_id
                if same and other.claimed_by is None:
                    return other
            entries[:] = [one for one in entries if one.pod_id != entry.pod_id]
            entries.append(entry)
        return None

    def leave(self, pod_id: str) -> None:
        """Give a claim back: the pod waits on for whoever comes next."""
        with self._changing() as entries:
            entries[:] = [
                replace(one, claimed_by=None) if one.pod_id == pod_id else one for one in entries
            ]

    def forget(self, pod_id: str) -> None:
        """Strike a pod out; the file goes with its last entry.

        Raises:
            OSError: The file is another one, or cannot be written.
        """
        if any(one.pod_id == pod_id for one in self.read()):
            with self._changing() as entries:
                entries[:] = [one for one in entries if one.pod_id != pod_id]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[KeptPod]]:
        lock = self.file.with_name(f".{self.file.name}.lock")
        with locked(self.file, lock):
            before = self.read()
            entries = list(before)
            yield entries
            if tuple(entries) != before:
                self._write(entries)

    def _write(self, entries: Sequence[KeptPod]) -> None:
        if not entries:
            self.file.unlink(missing_ok=True)
            return
        newest = entries[-1]
        head = {key: getattr(newest, key) for key in ("pod_id", "gpu_id", "image", "datacenter_id")}
        rows = [asdict(entry) for entry in entries]
        write_atomic(self.file, dump_json({"format": KEPT_FORMAT, **head, "pods": rows}))

    def _make_folder(self) -> None:
        folder = self.file.parent
        folder.mkdir(parents=True, exist_ok=True)
        # A work tree must not look changed to git because a pod is kept.
        if folder.name == OWN_FOLDER:
            with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x") as stream:
                stream.write(_IGNORED)


def _outlived(old: Binding, new: Binding) -> bool:
    emulated = old.cloud == new.cloud == "emulator"
    return emulated and old.api_url != new.api_url


def _entries(raw: bytes, file: Path) -> tuple[KeptPod, ...]:
    try:
        data = json.loads(raw) if len(raw) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict) and "format" not in data and isinstance(data.get("pod_id"), str):
        return ()  # of an earlier release: its pod has no mark that says whose it is
    rows = data.get("pods") if isinstance(data, dict) else None
    if (
        not isinstance(data, dict)
        or data.get("format") != KEPT_FORMAT
        or not isinstance(rows, list)
    ):
        raise NoStateFile(f"{file} is no state file of runpod-deploy")
    found = (_entry(row) for row in rows if isinstance(row, dict))
    return tuple(entry for entry in found if entry is not None)


def _entry(row: Mapping[str, Any]) -> KeptPod | None:
    bound = row.get("binding")
    made_as = row.get("made_as")
    if not isinstance(bound, dict) or not isinstance(made_as, dict):
        return None
    who = {
        key: tolerant.text(bound, key) or ""
        for key in ("cloud", "api_url", "owner", "job", "job_file")
    }
    texts = {
        key: tolerant.text(row, key) or ""
        for key in ("pod_id", "pod_name", "gpu_id", "cloud_type", "run_dir", "kept_at")
    }
    if not texts["pod_id"] or not texts["pod_name"]:
        return None
    return KeptPod(
        binding=Binding(**who, shard=tolerant.text(bound, "shard")),
        datacenter_id=tolerant.text(row, "datacenter_id"),
        image=tolerant.text(row, "image"),
        made_as=made_as,
        host_keys=tolerant.texts(row, "host_keys"),
        claimed_by=tolerant.text(row, "claimed_by"),
        **texts,
    )
