"""What the ledger's lines add up to: each pod's account, and the month's. Pure.

A line is `{v, at, event, pod, …}`; `at` is in seconds since the epoch, `pod` the pod's unique name, or
its id where only that is known. Lines that cannot be understood change nothing.

    opened    before the create call: run, cloud, api_url, usd_per_hour, disk_usd_per_hour, limit_usd, until,
              and cluster where it is one
    created   the pod exists: pod_id, usd_per_hour
    stopped   only its disk bills, at disk_usd_per_hour
    started   it runs again, for another run: run, usd_per_hour, limit_usd, until
    gone      the API confirmed its end
    never     the create call had no effect
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runpod_deploy.record import tolerant

LEDGER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time at one rate: seconds since the epoch, USD per hour; open while `end` is None."""

    run: str
    start: float
    usd_per_hour: float
    end: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What one pod costs.

    Attributes:
        run: The folder of the run that has it, or had it last.
        cloud: `runpod` or `emulator`: the money of one is not that of the other.
        disk_usd_per_hour: What it costs while it is stopped.
        limit_usd: What its run may cost as a whole.
        until: When nobody can want it any more: what nobody reported later did not happen.
        running: Whether it costs more than its disk.
        cluster: Whether it is a cluster, which is one account.
    """

    name: str
    run: str
    cloud: str
    api_url: str
    disk_usd_per_hour: float
    limit_usd: float
    until: float
    pod_id: str | None = None
    running: bool = True
    cluster: bool = False
    stretches: tuple[Stretch, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it still costs something, as far as was told."""
        return bool(self.stretches) and self.stretches[-1].end is None

    def usd(self, start: float, now: float, run: str | None = None) -> float:
        """Return what it has cost from `start` to `now`, for one run or for all."""
        total = 0.0
        for stretch in self.stretches:
            if run is None or stretch.run == run:
                end = now if stretch.end is None else min(stretch.end, now)
                if stretch.end is None and self.running:
                    end = min(end, max(self.until, stretch.start))
                total += max(0.0, end - max(start, stretch.start)) * stretch.usd_per_hour / 3600
        return total

    def spent_at(self, usd: float, now: float) -> float:
        """Return when its run will have cost `usd` by this pod alone, `now` at the latest."""
        if not self.stretches:
            return now
        last = self.stretches[-1]
        left = usd - self.usd(0.0, last.start, last.run)
        if last.usd_per_hour <= 0:
            return now
        return max(last.start, min(now, last.start + left / last.usd_per_hour * 3600))


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounts:
    """Every pod's account, by the pod's name."""

    pods: Mapping[str, Account] = field(default_factory=dict)

    def month_usd(self, cloud: str, now: float) -> float:
        """Return what all pods have cost in the calendar month (UTC) of `now`."""
        start = month_start(now)
        return sum(pod.usd(start, now) for pod in self.pods.values() if pod.cloud == cloud)

    def run_usd(self, run: str, now: float) -> float:
        """Return what a run has cost so far."""
        return sum(pod.usd(0.0, now, run) for pod in self.pods.values())

    def promised_usd(self, cloud: str, now: float, *, but: str) -> float:
        """Return what the runs with a pod that runs may still cost, other than the run `but`."""
        limits = {
            pod.run: pod.limit_usd
            for pod in self.pods.values()
            if pod.cloud == cloud
            and pod.open
            and pod.running
            and pod.run != but
            and now < pod.until
        }
        return sum(max(0.0, limit - self.run_usd(run, now)) for run, limit in limits.items())

    def find(self, pod: str) -> Account | None:
        """Return the account of a pod by name or id."""
        if pod in self.pods:
            return self.pods[pod]
        return next((one for one in self.pods.values() if one.pod_id == pod), None)


def month_start(now: float) -> float:
    """Return when the calendar month (UTC) of `now` began."""
    moment = datetime.fromtimestamp(now, UTC)
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def add_up(lines: Iterable[Mapping[str, Any]], start: Accounts | None = None) -> Accounts:
    """Return the accounts after `lines`, which come in the order of the file."""
    pods = dict((start or Accounts()).pods)
    for line in lines:
        name, at = tolerant.text(line, "pod"), tolerant.number(line, "at")
        event = tolerant.text(line, "event")
        if name is None or at is None or line.get("v") != LEDGER_VERSION:
            continue
        if event == "opened":
            pods[name] = _opened(name, at, line)
            continue
        known = Accounts(pods=pods).find(name)
        if known is not None:
            pods[known.name] = _changed(known, event, at, line)
    return Accounts(pods=pods)


def _opened(name: str, at: float, line: Mapping[str, Any]) -> Account:
    run = tolerant.text(line, "run") or ""
    return Account(
        name=name,
        run=run,
        cloud=tolerant.text(line, "cloud") or "",
        api_url=tolerant.text(line, "api_url") or "",
        disk_usd_per_hour=_usd(line, "disk_usd_per_hour"),
        limit_usd=_usd(line, "limit_usd"),
        until=tolerant.number(line, "until") or at,
        cluster=line.get("cluster") is True,
        stretches=(Stretch(run, at, _usd(line, "usd_per_hour")),),
    )


def _changed(account: Account, event: str | None, at: float, line: Mapping[str, Any]) -> Account:
    if event == "created":
        return _created(account, at, line)
    if event == "never":
        return replace(account, running=False, stretches=())
    if event == "gone":
        return replace(account, running=False, stretches=_closed(account, at))
    if event == "stopped" and account.open and account.running:
        disk = Stretch(account.run, at, account.disk_usd_per_hour)
        return replace(account, running=False, stretches=(*_closed(account, at), disk))
    if event == "started":
        run = tolerant.text(line, "run") or account.run
        again = Stretch(run, at, _usd(line, "usd_per_hour"))
        return replace(
            account,
            run=run,
            running=True,
            limit_usd=_usd(line, "limit_usd"),
            until=tolerant.number(line, "until") or at,
            stretches=(*_closed(account, at), again),
        )
    return account


def _created(account: Account, at: float, line: Mapping[str, Any]) -> Account:
    price, pod_id = _usd(line, "usd_per_hour"), tolerant.text(line, "pod_id")
    if not account.stretches:
        # It was taken for one that never came to be, and is there all the same.
        late = (Stretch(account.run, at, price),)
        return replace(account, pod_id=pod_id, running=True, stretches=late)
    first = replace(account.stretches[-1], usd_per_hour=price)
    return replace(account, pod_id=pod_id, stretches=(*account.stretches[:-1], first))


def _closed(account: Account, at: float) -> tuple[Stretch, ...]:
    if not account.open:
        return account.stretches
    last = account.stretches[-1]
    return (*account.stretches[:-1], replace(last, end=max(at, last.start)))


def _usd(line: Mapping[str, Any], key: str) -> float:
    return max(0.0, tolerant.number(line, key) or 0.0)
