"""The report page in a real browser: it draws everything, reports no error, runs nothing foreign."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from forensic_cases import OURS, line, make_run
from runpod_deploy.forensics.report.page import run_page, runs_page

pytestmark = pytest.mark.interop
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with samples of two GPUs, marks, hostile texts and a cost curve."""
    offer = {"gpu_id": "NVIDIA L4", "datacenter_id": None, "cloud_type": "SECURE"}
    events = [
        line("run_started", "2026-06-01T00:00:00Z", run_id="r", job_name=HOSTILE),
        line("step_started", "2026-06-01T00:00:01Z", step="provision"),
        line("pod_create_intended", "2026-06-01T00:00:01Z", op_id="n", name="n", **offer),
        line(
            "pod_create_settled",
            "2026-06-01T00:00:02Z",
            op_id="n",
            outcome="created",
            pod_id="p",
            cost_per_hour_usd=1.0,
        ),
        line("step_completed", "2026-06-01T00:00:09Z", step="provision", duration_sec=8),
        line("remote_step_started", "2026-06-01T00:01:00Z", name=HOSTILE, log_offset=1),
        line("remote_step_completed", "2026-06-01T00:05:00Z", name=HOSTILE, log_offset=2),
        line("warning", "2026-06-01T00:05:01Z", code="c", message=HOSTILE),
    ]
    run = make_run(tmp_path, "20260601T000000Z", {**OURS, "job_name": HOSTILE}, events)
    rows = [
        {
            "ts_utc": f"2026-06-01T00:0{n // 6}:{n % 6}0Z",
            "gpus": [
                {"index": i, "util_pct": n, "mem_used_mb": n, "mem_total_mb": 40, "temp_c": 50}
                for i in (0, 1)
            ],
            "cpu_user_pct": 5,
            "cpu_sys_pct": 1,
            "host_mem_used_mb": 1,
            "host_mem_total_mb": 2,
            "workspace_disk_used_bytes": n,
            "workspace_disk_total_bytes": 60,
            "net_rx_bytes": n * 1000,
            "net_tx_bytes": n * 10,
        }
        for n in range(30)
    ]
    rows[3]["gpus"][0]["power_w"] = 33  # and never again
    # Numbers that nobody measured.
    rows[4]["gpus"][0] |= {"util_pct": 1e300, "temp_c": -40}
    rows[5]["net_rx_bytes"] = 1e307
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "run.log").write_text(f"hello\n{HOSTILE}\n")
    return run


def browse(page: str, tmp_path: Path, *flags: str) -> tuple[str, str]:
    """Return the document as the browser has it once scripts ran, and what its console says."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    file = tmp_path / "report.html"
    file.write_text(page, "utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--v=0", "--disable-dev-shm-usage"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *(flags or ("--dump-dom",)),
            file.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
        encoding="utf-8",
    )
    console = [text for text in done.stderr.splitlines() if ":CONSOLE" in text]
    return done.stdout, "\n".join(console)


def test_a_run_is_drawn_without_an_error(folder: Path, tmp_path: Path) -> None:
    """Every chart has its lines, the console is empty, and hostile text changed nothing."""
    dom, console = browse(run_page(folder), tmp_path)

    assert console == ""
    assert 'data-ready="yes"' in dom
    for title in (
        *("GPU use", "GPU memory", "GPU temperature", "Processor and memory"),
        *("Disk of the volume", "Network", "accrued", "GPU power"),
    ):
        assert f'aria-label="{title}"' in dom
    # Two GPUs in three charts, one watt, two lines for the host and the network each, one for disk and cost.
    assert dom.count('<path class="s') == 3 * 2 + 2 + 2 + 1 + 1 + 1
    # A sample without neighbours is a point.
    assert dom.count("<circle") == 1
    assert "<title>owned</title>" not in dom
    assert "<img" not in dom


def test_many_runs_are_drawn_without_an_error(folder: Path, tmp_path: Path) -> None:
    """Each run is a row and a point in both charts."""
    dom, console = browse(runs_page([folder], HOSTILE), tmp_path)

    assert console == ""
    assert dom.count("<circle") == 2
    assert "<img" not in dom


def test_a_report_can_be_printed(folder: Path, tmp_path: Path) -> None:
    """The printed page is a document of some pages."""
    target = tmp_path / "report.pdf"
    browse(run_page(folder), tmp_path, f"--print-to-pdf={target}")

    assert target.read_bytes().startswith(b"%PDF-")
