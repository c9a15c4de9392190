"""The state folder: the account in one file, the pods in a journal, their folders beside."""

import json
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

from runpod_deploy.emulator.clock import BillingClock
from runpod_deploy.emulator.records import Account, Pod


class Store:
    """Reads and writes one state folder; one daemon at a time owns it.

    Pods die with their daemon, so those that an earlier daemon left are taken up as lost, at
    the last moment it was known to be alive. Network volumes, templates, registries and keys
    stay.
    """

    def __init__(self, folder: Path, clock: BillingClock) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._account_file = folder / "account.json"
        self._journal = folder / "pods.jsonl"
        self.account = self._load_account()
        self.former_pods = self._load_pods()
        remove_tree(folder / "pods")
        self._rewrite_journal(clock)

    def save_account(self) -> None:
        """Write volumes, templates, registries and keys."""
        write_private(self._account_file, json.dumps(self.account.document()))

    def save_pod(self, pod: Pod) -> None:
        """Note a pod's new state; the last note of a pod counts."""
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"pod": pod.document()}) + "\n")

    def mark_alive(self) -> None:
        """Leave a trace of being alive, for whoever has to close the bill after a crash."""
        os.utime(self._journal)

    def volume_folder(self, volume_id: str) -> Path:
        """Give the folder of a network volume, made if need be."""
        return self._made(self._folder / "volumes" / volume_id)

    def pod_folder(self, pod_id: str) -> Path:
        """Give the folder that stands for a pod's persistent mount, made if need be."""
        return self._made(self._folder / "pods" / pod_id)

    def remove_volume_folder(self, volume_id: str) -> None:
        """Destroy a network volume's data."""
        remove_tree(self._folder / "volumes" / volume_id)

    def remove_pod_folder(self, pod_id: str) -> None:
        """Destroy a pod's persistent mount."""
        remove_tree(self._folder / "pods" / pod_id)

    def _made(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _load_account(self) -> Account:
        if not self._account_file.exists():
            return Account()
        return Account.from_document(json.loads(self._account_file.read_text(encoding="utf-8")))

    def _load_pods(self) -> dict[str, Pod]:
        if not self._journal.exists():
            return {}
        last_alive = self._journal.stat().st_mtime
        clock = BillingClock()
        pods: dict[str, Pod] = {}
        for entry in self._entries():
            if "clock" in entry:
                clock = BillingClock(**entry["clock"])
            else:
                pod = Pod.from_document(entry["pod"])
                pods[pod.id] = pod
        for pod in pods.values():
            if pod.ended_at is None:
                pod.ended_at, pod.ended_by, pod.power = last_alive, "lost", "off"
                pod.meter.close(clock.at(last_alive))
        return pods

    def _entries(self) -> list[dict[str, Any]]:
        entries = []
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                # The last line of a daemon that was killed while it wrote.
                continue
        return entries

    def _rewrite_journal(self, clock: BillingClock) -> None:
        lines = [json.dumps({"clock": {"speed": clock.speed, "origin": clock.origin}})]
        lines += [json.dumps({"pod": pod.document()}) for pod in self.former_pods.values()]
        write_private(self._journal, "\n".join(lines) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file at once by one that only its owner can read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)


def remove_tree(folder: Path) -> None:
    """Remove a folder that a pod wrote into, whatever modes it left there."""
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError:
        for root, names, _ in os.walk(folder):
            for name in [root, *(f"{root}/{name}" for name in names)]:
                if not stat.S_ISLNK(os.lstat(name).st_mode):
                    os.chmod(name, 0o700)  # noqa: PTH101 - a Path per name buys nothing here
        shutil.rmtree(folder, ignore_errors=True)
