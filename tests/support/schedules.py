"""Random schedules of faults and kills: everything that will go wrong in one run, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST = "gpu=NVIDIA L4"
SHAPES = (*("run",) * 6, "recycle", "sweep")
# By then no pod runs whose watchdog can act: the money of the longest run is spent.
LONG_AWAY_SEC = 70 * 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        text: In the emulator's own words; `{…}` are drawn anew each time.
        survivable: Whether a run must come through it to the end that its job has.
    """

    text: str
    survivable: bool = True

    @property
    def name(self) -> str:
        """What it is counted as."""
        return self.text.partition(":")[0]


KINDS = (
    Kind(f"stock-out:hidden=1,{FIRST}"),
    Kind(f"stock-limit:free=0,{FIRST}"),
    Kind("stock-out", survivable=False),
    Kind("create-5xx-before:status={status}"),
    Kind("create-5xx-after:status={status}"),
    Kind("create-hang-before:seconds={short}"),
    Kind("create-hang-after:seconds={short}"),
    Kind("rate-limit:times={few},retry_after={short},skip={skip}"),
    Kind("server-error:times={few},status={status},skip={skip}"),
    Kind("server-error:times={few},method=GET,skip={skip}"),
    Kind("server-error:times={few},method=DELETE"),
    Kind("lost-answer:path=/v2/pods"),
    Kind("lost-answer:method=DELETE"),
    Kind("slow-answer:seconds={long},skip={skip}"),
    Kind("slow:seconds={short},times={few},skip={skip}"),
    Kind("server-error:times=1000,after={long},lasts={long}", survivable=False),
    Kind("balance-too-low:times=1", survivable=False),
    Kind("image-refused:times=1", survivable=False),
    Kind(f"wrong-price:factor=50,{FIRST}"),
    Kind(f"never-ready:{FIRST}"),
    Kind("never-ready:times=1"),
    Kind(f"no-sshd:{FIRST}"),
    Kind(f"error-state:{FIRST}"),
    Kind("error-state:seconds={any},times=1", survivable=False),
    Kind("slow-pull:seconds={short}"),
    Kind(f"pull-fails:{FIRST}"),
    Kind("pull-fails:times={few}"),
    Kind("zero-gpus:when=create,times=1"),
    Kind("balance-gone:seconds={any}", survivable=False),
    Kind("delete-fails:times={few}"),
    Kind("delete-lies:times={few}"),
    Kind("delete-lies:times=1000", survivable=False),
    Kind("delete-fails:times=1000", survivable=False),
    Kind("pod-killed:seconds={any},then=exited,times=1", survivable=False),
    Kind("pod-killed:seconds={any},then=error,times=1", survivable=False),
    Kind("pod-killed:seconds={any},then=gone,times=1", survivable=False),
    Kind("ssh-drop:seconds={any}", survivable=False),
    Kind("port-change:seconds={any}", survivable=False),
    Kind("host-key-change:seconds={any}", survivable=False),
    Kind("hung-setup", survivable=False),
    Kind("cut-pull"),
    Kind("cut-upload"),
    Kind("start-refused:times=1"),
    Kind("zero-gpus:when=start,times=1"),
    Kind("dark:seconds={long}", survivable=False),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """When an executor is killed: after its so manieth line, or at its so manieth call.

    Attributes:
        away_sec: How long nobody carries the run on afterwards; days, at most.
        torn: How many bytes of the last line did not reach the disk.
    """

    line: int = 0
    call: int = 0
    away_sec: float = 0.0
    torn: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """All that is drawn for one run.

    Attributes:
        faults: Texts as the emulator takes them, or of what pods in memory do.
        shape: `run`; `recycle`: two runs that hand their pod on; `sweep`: three runs, two at a time.
        survivable: Whether all of them are.
        lasts: Seconds that the job takes.
        exit_code: Of the job; None: its supervisor leaves none.
    """

    shape: str
    faults: tuple[str, ...]
    kinds: tuple[str, ...]
    survivable: bool
    kills: tuple[Kill, ...]
    lasts: float
    exit_code: int | None
    cap_usd: float
    on_failure: str


def draw(seed: int, index: int) -> Schedule:
    """Return a schedule; the same numbers give the same one."""
    chance = random.Random(f"{seed}/{index}")
    kinds = chance.sample(KINDS, chance.choice((0, 1, 1, 2, 2, 3, 4)))
    kills = tuple(_kill(chance) for _ in range(chance.choice((0, 1, 1, 2, 3))))
    return Schedule(
        shape=chance.choice(SHAPES),
        faults=tuple(_filled(kind.text, chance) for kind in kinds),
        kinds=tuple(kind.name for kind in kinds),
        survivable=all(kind.survivable for kind in kinds),
        kills=kills,
        lasts=chance.choice((3.0, 20.0, 90.0, 400.0)),
        exit_code=chance.choice((0, 0, 0, 0, 0, 3, None)),
        cap_usd=chance.choice((0.03, 0.1, 2.0, 2.0, 2.0)),
        on_failure=chance.choice(("delete", "delete", "stop")),
    )


def _kill(chance: random.Random) -> Kill:
    away = chance.choice((0.0, 1.0, 40.0, 300.0, 1500.0, 6 * 3600.0, LONG_AWAY_SEC))
    if chance.random() < 0.5:
        torn = chance.choice((0, 0, 0, 1, 20))
        return Kill(line=chance.randint(2, 45), away_sec=away, torn=torn)
    return Kill(call=chance.randint(1, 150), away_sec=away)


def _filled(text: str, chance: random.Random) -> str:
    return text.format(
        status=chance.choice((500, 502, 503, 504)),
        short=chance.choice((1, 3, 10)),
        long=chance.choice((20, 45, 100)),
        any=chance.choice((0, 1, 3, 8, 30, 100)),
        few=chance.randint(1, 4),
        skip=chance.choice((0, 0, 1, 2, 3, 5, 9)),
    )
