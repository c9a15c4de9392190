"""The sampler as it lies on a pod, run by the shells that pods have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.record.metrics import parse_sample
from support.pod_scripts import render

pytestmark = pytest.mark.interop
SHELLS = ("dash", "bash", "busybox")
TWO_CARDS = """#!/bin/sh
echo '0, 97, 70123, 81559, 61, 612.34, 0'
echo '1, [N/A], 12, 81559, [Not Supported], [N/A], [N/A]'
"""


class Place:
    """A home with the sampler in it, and a PATH of the test's own."""

    def __init__(self, root: Path, shell: str) -> None:
        self.home, self.bin = root / "home", root / "bin"
        (self.home / "bin").mkdir(parents=True)
        self.bin.mkdir()
        (self.bin / "sh").symlink_to(shutil.which(shell) or "")
        for tool in (
            "date",
            "df",
            "sleep",
            "mv",
            "mkdir",
            "rm",
            "grep",
            "sed",
            "tr",
            "head",
            "cat",
        ):
            (self.bin / tool).symlink_to(shutil.which(tool) or "")
        self.script = self.home / "bin" / "sampler.sh"
        self.write(interval_sec=1, mount=str(root))

    def write(self, **telemetry: Any) -> None:
        """Lay the script there."""
        told = {"idle_sec": 0, **telemetry}
        self.script.write_text(render("sampler", home=str(self.home), telemetry=told))

    def tool(self, name: str, text: str) -> None:
        """Put a program on the PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def call(self, word: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Call the sampler."""
        return subprocess.run(
            [str(self.bin / "sh"), str(self.script), word],
            env={"PATH": str(self.bin), **more},
            capture_output=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )

    def lines(self) -> list[dict[str, Any]]:
        """Return the samples so far."""
        file = self.home / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, samples: int) -> list[dict[str, Any]]:
        """Return the samples as soon as there are so many."""
        give_up = time.monotonic() + 240
        while len(lines := self.lines()) < samples:
            assert time.monotonic() < give_up, lines
            time.sleep(0.1)
        return lines


@pytest.fixture(params=SHELLS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a place whose sh is one of the shells."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return Place(tmp_path, request.param)


def test_a_sample_tells_of_every_gpu(place: Place) -> None:
    """What a card does not tell is null and hides nothing of the others."""
    place.tool("nvidia-smi", TWO_CARDS)
    done = place.call("once")
    sample = parse_sample(done.stdout.encode())

    assert (done.stderr, done.returncode) == ("", 0)
    assert sample is not None
    first, second = sample.gpus
    assert (first.util_pct, first.mem_used_mb, first.power_w) == (97, 70123, 612.34)
    assert (first.temp_c, first.ecc_errors) == (61, 0)
    assert (second.index, second.util_pct, second.temp_c, second.ecc_errors) == (
        1,
        None,
        None,
        None,
    )
    assert sample["gpu_util_pct"] == 97
    assert sample["gpu_ecc_errors"] == 0


def test_a_sample_tells_of_the_host(place: Place) -> None:
    """Load, memory, the disk of the volume and network counters are what the kernel says."""
    sample = parse_sample(place.call("once").stdout.encode())
    usage = shutil.disk_usage(place.home)

    assert sample is not None
    assert sample.gpus == ()
    assert sample.disk_total_bytes == pytest.approx(usage.total, rel=0.01)
    assert sample.disk_used_bytes == pytest.approx(usage.used, rel=0.05)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert sample["host_mem_total_mb"] == pytest.approx(total / 2**20, rel=0.05)
    assert sample.cpu_load_1m is not None
    assert sample.received_bytes is not None


@pytest.mark.parametrize(
    "answer",
    [
        "#!/bin/sh\nexit 9\n",
        "#!/bin/sh\necho 'No devices were found'\n",
        "#!/bin/sh\necho 'Unable to determine the device handle for GPU0: Unknown Error'\n",
        "#!/bin/sh\nprintf '0, 1; rm -rf /, \"x\\\\\", $(touch owned), 1.2.3, .5, 007\\n'\n",
    ],
)
def test_whatever_nvidia_smi_says_the_line_is_json(place: Place, answer: str) -> None:
    """Errors and nonsense become null, and nothing of them is run."""
    place.tool("nvidia-smi", answer)
    sample = parse_sample(place.call("once").stdout.encode())

    assert sample is not None
    assert all(gpu.util_pct is None and gpu.ecc_errors is None for gpu in sample.gpus)
    assert not (place.home / "owned").exists()


def test_a_mount_that_is_not_there_is_the_root_disk(place: Place) -> None:
    """A pod without a volume has a disk as well."""
    place.write(interval_sec=1, mount="/no/such/mount")
    sample = parse_sample(place.call("once").stdout.encode())

    assert sample is not None
    assert sample.disk_total_bytes == pytest.approx(shutil.disk_usage("/").total, rel=0.01)


def test_sampling_goes_on_by_itself_until_it_is_stopped(place: Place) -> None:
    """Started twice it runs once; the use of the processors is known from the second sample on."""
    try:
        assert place.call("start").returncode == 0
        place.wait_for(1)
        owner = (place.home / "sampler.pid").read_text()
        assert place.call("start").returncode == 0
        assert (place.home / "sampler.pid").read_text() == owner
        lines = place.wait_for(3)
    finally:
        place.call("stop")
    assert len({line["ts_utc"] for line in lines}) == len(lines)
    assert all(0 <= line["cpu_user_pct"] <= 100 for line in lines[1:])
    pid = int(owner.split()[0])
    give_up = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_sampling_costs_less_than_a_hundredth_of_a_core(place: Place) -> None:
    """By the processor time that a sample uses, at the shortest interval a job file may ask for."""
    place.tool("nvidia-smi", TWO_CARDS)
    before = os.times()
    for _ in range(5):
        place.call("once")
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system

    # Processor time, not wall time: what else the machine does hardly counts.
    assert used / 5 < 0.01 * 5.0


def test_gpus_that_idle_end_the_run_whoever_watches(place: Place) -> None:
    """Only when all of them say so, in every sample of that time, and while the job runs; once."""
    clock, stopped, job = place.home / "clock", place.home / "stopped", place.home / "job"
    clock.write_text("0\n")
    job.mkdir()
    # Time as an emulated pod has it, ten seconds a step. It never reads as nothing.
    place.tool("rd-date", f"#!/bin/sh\nread -r at <{clock}\necho $at\n")
    step = f"read -r at <{clock}\necho $((at + $1)) >{clock}.new\nmv -f {clock}.new {clock}"
    place.tool("rd-sleep", f"#!/bin/sh\n{step}\nexec sleep 0.01\n")
    use = "100) use='[N/A]' ;; 250) use=97 ;; 330) use=5 ;; 4?0) use=4 ;; *) use=0 ;;"
    begins = f"[ $at -ge 190 ] && echo 1 >{job}/run.pid"
    smi = f"read -r at <{clock}\n{begins}\ncase $at in {use} esac\n"
    place.tool("nvidia-smi", f"#!/bin/sh\n{smi}echo '0, 0, 1, 2'\necho \"1, $use, 1, 2\"\n")
    place.write(interval_sec=10, mount="/", idle_sec=120)
    (place.home / "bin" / "supervisor.sh").write_text(
        f"read -r at <{clock}\necho $* $at >>{stopped}\necho 143 >{job}/exit_code\n"
    )
    fast = {"RD_DATE": str(place.bin / "rd-date"), "RD_SLEEP": str(place.bin / "rd-sleep")}
    try:
        place.call("start", **fast)
        place.wait_for(70)
    finally:
        place.call("stop", **fast)
    # Not before 190 + 120, since it worked at 250; from the sample after 330 on it idled.
    assert stopped.read_text() == "stop idle_gpu 460\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_an_unknown_word_is_refused(tmp_path: Path, shell: str) -> None:
    """The usage is shown."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = Place(tmp_path, shell).call("begin")

    assert (done.returncode, "usage" in done.stderr) == (2, True)
