"""How long a search through 2,000 run folders takes, against the predecessor's command on the same tree.

The tree is made for the occasion: 1,000 events in each folder. The predecessor is installed from the
package index into an environment of its own, which needs Python 3.13 and half a minute. Exits 1 when
the search is less than three times as fast, takes more than 100 MB, or finds something else; 2 when it
cannot be measured here.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

FOLDERS = 2000
EVENTS = 1000
PREDECESSOR = "runpod-deploy==0.8.4"
HIGHEST_RATIO = 1 / 3
HIGHEST_PEAK_MB = 100
FILTERS = ("event=pod_killed_unexpected", "event=gpu_selected")
KINDS = ("step_started", "step_completed", "remote_step_started", "log_progress", "warning")


def make_tree(root: Path) -> None:
    """Write the run folders."""
    lines = [
        {
            "v": 1,
            "seq": number,
            "ts_utc": f"2026-06-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z",
            "event": KINDS[number % len(KINDS)],
            "name": f"epoch-{number}",
            "log_offset": number * 100,
        }
        for number in range(1, EVENTS + 1)
    ]
    lines[5] = {
        **lines[5],
        "event": "gpu_selected",
        "gpu_id": "NVIDIA L4",
        "datacenter_id": "EU-RO-1",
    }
    usual = [json.dumps(line) for line in lines]
    killed = json.dumps({**lines[-1], "event": "pod_killed_unexpected", "state": "EXITED"})
    for number in range(FOLDERS):
        day, hour, minute = number // 240 + 1, number // 10 % 24, number % 10
        folder = root / f"202606{day:02}T{hour:02}{minute:02}00Z"
        folder.mkdir()
        told = [*usual[:-1], killed] if number % 50 == 0 else usual
        (folder / "events.jsonl").write_text("\n".join(told) + "\n")


def install_predecessor(root: Path) -> str | None:
    """Return the predecessor's command, None when it cannot be installed here."""
    python = next(filter(_runs, _pythons()), None)
    if python is None:
        return None
    steps = (
        [python, "-m", "venv", str(root)],
        [
            str(root / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            PREDECESSOR,
            "pyyaml",
        ],
    )
    for step in steps:
        if subprocess.run(step, capture_output=True, check=False).returncode:
            return None
    return str(root / "bin" / "runpod-deploy")


def _pythons() -> Iterator[str]:
    """Yield where a Python new enough may be: on the PATH, or among pyenv's."""
    yield from filter(None, map(shutil.which, ("python3.13", "python3.14")))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob("versions/3.1[34].*/bin/python")))


def _runs(python: str) -> bool:
    """Tell whether it is one: what pyenv lays on the PATH is not, for versions that are not chosen."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def measure(command: Sequence[str]) -> tuple[float, float, int]:
    """Run a search; returns seconds, peak memory in MB, and how many events it printed."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        out.seek(0)
        return took, usage.ru_maxrss / 1024, sum(1 for _ in out)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the last line is the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2)
    args = parser.parse_args(argv)
    ours = [sys.executable, "-m", "runpod_deploy"]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        tree = root / "runs"
        tree.mkdir()
        theirs = install_predecessor(root / "venv")
        if theirs is None:
            print(f"events-query: not measured, {PREDECESSOR} needs Python 3.13", file=sys.stderr)
            return 2
        make_tree(tree)
        ratios, peak, agreed = [], 0.0, True
        for wanted in FILTERS:
            search = ["events-query", "--root", str(tree), "--filter", wanted, "--json"]
            for _ in range(args.pairs):
                fast, used, found = measure([*ours, *search])
                slow, _, expected = measure([theirs, *search])
                ratios.append(fast / slow)
                peak, agreed = max(peak, used), agreed and found == expected
                print(f"{wanted:<32} ours {fast:6.2f} s  predecessor {slow:6.2f} s  {found} found")
    ratio = median(ratios)
    print(
        f"events-query: ratio {ratio:.2f} (target <= {HIGHEST_RATIO:.2f}), peak {peak:.0f} MB "
        f"(target <= {HIGHEST_PEAK_MB}), {'the same' if agreed else 'NOT the same'} events found"
    )
    return int(ratio > HIGHEST_RATIO or peak > HIGHEST_PEAK_MB or not agreed)


if __name__ == "__main__":
    sys.exit(main())
