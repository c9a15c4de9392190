"""Results that go on to buckets, on the emulator, against moto's S3 server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bucket_store import BucketStore
from support.command import Bench, wait_until

pytestmark = pytest.mark.emulated


@pytest.fixture
def store() -> Iterator[BucketStore]:
    """Run a store that checks signatures."""
    store = BucketStore()
    yield store
    store.close()


def texts_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def test_results_reach_two_buckets_though_the_command_is_killed(
    bench: Bench, store: BucketStore
) -> None:
    """Killed when it begins to upload and resumed: both stores hold what is here, and no key is anywhere."""
    store.bucket("models")
    store.bucket("logs")
    first, second = store.user("one"), store.user("two")
    store.strict()
    bench.extra |= {name: first[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    bench.write("two.env", "".join(f"{name}={value}\n" for name, value in second.items()))
    bench.job(
        secrets=[
            {
                "name": "one",
                "destination": "/root/one.env",
                "env": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
                "export": False,
            },
            {"name": "two", "destination": "/root/two.env", "file": "two.env"},
        ],
        run={
            "body": "env; mkdir -p /root/out/deep; seq 9999 >/root/out/deep/a; echo x >/root/log\n"
        },
        artifacts=[
            {
                "label": "out",
                "remote_path": "/root/out",
                "upload": "s3://models/{{ run_id }}",
                "upload_endpoint": store.url,
            },
            {
                "label": "log",
                "remote_path": "/root/log",
                "upload": "s3://logs/all",
                "upload_secret": "two",
            },
        ],
    )
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: process.poll() is not None or "upload_intended" in _journal(bench))
    process.send_signal(signal.SIGKILL)
    process.communicate()

    status, output = bench.run("resume", "last")

    assert status == 0, output
    assert bench.pods() == []
    run_id = bench.manifest()["run_id"]
    here = {path.name: path.read_bytes() for path in bench.last_run().glob("*/*/*")}
    log = (bench.last_run() / "log").read_bytes()
    assert store.objects("models") == {f"{run_id}/deep/a": here["a"]}
    assert store.objects("logs") == {"all/log": log}
    uploads = [row["upload"] for row in bench.manifest()["artifacts"]]
    assert [(row["status"], row["files"]) for row in uploads] == [("verified", 1)] * 2
    assert [row["to"] for row in uploads] == [f"s3://models/{run_id}", "s3://logs/all"]
    gone = [event["event"] for event in bench.events()].index("pod_delete_intended")
    settled = [event for event in bench.events()[:gone] if event["event"] == "upload_settled"]
    assert {event["label"] for event in settled if event["outcome"] == "verified"} == {"out", "log"}
    for key in (first, second):
        value = key["AWS_SECRET_ACCESS_KEY"].encode()
        for folder in (bench.last_run(), bench.root / "emu"):
            found = [path for path, content in texts_below(folder) if value in content]
            assert found == [], value


def _journal(bench: Bench) -> str:
    return "".join(path.read_text("utf-8") for path in bench.project.rglob("events.jsonl"))


def test_a_bucket_that_cannot_be_written_to_ends_the_run_before_its_job(
    bench: Bench, store: BucketStore
) -> None:
    """One error line says which bucket and why; nothing of the job has run."""
    bench.extra |= store.user("pod")
    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"]
    bench.job(
        secrets=[{"name": "one", "destination": "/root/one.env", "env": names}],
        run={"body": "echo ran\n"},
        artifacts=[{"label": "o", "remote_path": "/root/o", "upload": "s3://not-there/o"}],
    )
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")

    assert status == 1
    assert "'o' could not be sent to s3://not-there/o: the store refused" in output
    assert "NoSuchBucket" in output
    assert bench.manifest()["cause"] == "upload_refused"
    assert "exec_start_intended" not in _journal(bench)
    assert bench.pods() == []
