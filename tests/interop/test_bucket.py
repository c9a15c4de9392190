"""Results on their way to a bucket, by the program that lies on a pod, against moto's S3 server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bucket_store import BucketStore
from support.pod_programs import FOLDER, load
from support.pod_scripts import render
from support.shell_pod import SHELLS

pytestmark = pytest.mark.interop

MIB = 1 << 20
NAMES = ("model.bin", "sub folder/ünï+c?%&=.txt", "a'b\"c", "empty")


@pytest.fixture(scope="module")
def store() -> Iterator[BucketStore]:
    """Run one store for all tests here; each uses a bucket of its own."""
    store = BucketStore()
    for name in ("names", "parts", "shell", "closed"):
        store.bucket(name)
    yield store
    store.close()


@pytest.fixture(scope="module")
def keys(store: BucketStore) -> dict[str, str]:
    """Return the variables of a user; from here on every signature is checked."""
    made = store.user("pod")
    reader = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    writer = {"Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}
    may_all = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    for who, rules in (("READER", [reader]), ("WRITER", [may_all, writer])):
        user = store.user(who.lower(), {"Version": "2012-10-17", "Statement": rules})
        made |= {f"{who}_{name}": value for name, value in user.items()}
    store.strict()
    return made


class Pod:
    """What the program finds on its pod: a folder of results, keys, and what it is asked to do."""

    def __init__(self, folder: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = folder / "out"
        self.out.mkdir()
        self.folder = folder
        self.program: Any = load("upload")
        self._monkeypatch = monkeypatch
        for name, value in keys.items():
            monkeypatch.setenv(name, value)

    def asked(self, to: str, **changes: Any) -> dict[str, Any]:
        """Return what it is asked for, of the files that lie there now."""
        files = [
            {
                "path": str(path.relative_to(self.out)),
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        ]
        state = str(self.folder / "state")
        remote = str(self.out)
        asked = {"to": to, "endpoint": None, "remote_path": remote, "state": state, "files": files}
        return asked | changes

    def call(self, verb: str, asked: dict[str, Any], capsys: Any) -> dict[str, Any]:
        """Run the program in this process; returns its last line."""
        import io  # noqa: PLC0415 - stands in for stdin

        stdin = type("Stdin", (), {"buffer": io.BytesIO(json.dumps(asked).encode())})
        self._monkeypatch.setattr("sys.stdin", stdin)
        self.program.main(verb)
        last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return last


@pytest.fixture
def pod(tmp_path: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Pod:
    """Return a pod with keys that may do all."""
    return Pod(tmp_path, keys, monkeypatch)


def test_every_name_arrives_and_is_not_sent_twice(
    store: BucketStore, pod: Pod, capsys: Any
) -> None:
    """Files of any name and size lie below the path; asked again, the store shows that it has them."""
    for name in NAMES:
        (pod.out / name).parent.mkdir(exist_ok=True)
        (pod.out / name).write_bytes(b"" if name == "empty" else name.encode() * 1000)
    asked = pod.asked("s3://names/run 1/x")

    first = pod.call("send", asked, capsys)["done"]
    again = pod.call("send", asked, capsys)["done"]

    assert (4, 4, 0) == (first["files"], first["sent_files"], again["sent_files"])
    expected = {f"run 1/x/{name}": (pod.out / name).read_bytes() for name in NAMES}
    assert expected == store.objects("names")
    assert 4 == sum(again["proofs"].values())


def test_a_large_file_goes_in_parts_and_goes_on_where_it_broke(
    store: BucketStore, pod: Pod, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What a killed program had sent of a file is not sent again; a single file lies below the path."""
    monkeypatch.setattr(pod.program, "PART_BYTES", 5 * MIB)
    content = os.urandom(5 * MIB) * 2 + b"the end"
    (pod.out / "model.bin").write_bytes(content)
    asked = pod.asked("s3://parts", remote_path=str(pod.out / "model.bin"))
    parts: list[str] = []
    ask = pod.program.ask

    def breaks(*args: Any, **more: Any) -> Any:
        if "part" in args[1]:
            parts.append(args[1])
            if len(parts) == 3:
                raise pod.program.Problem("the wire broke")
        return ask(*args, **more)

    monkeypatch.setattr(pod.program, "ask", breaks)
    assert "the wire broke" == pod.call("send", asked, capsys)["error"]
    assert ["model.bin"] == store.unfinished("parts")
    done = pod.call("send", asked, capsys)["done"]

    assert (4, {"md5": 1}) == (len(parts), done["proofs"])
    assert {"model.bin": content} == store.objects("parts")
    assert [] == store.unfinished("parts")


def test_a_file_that_changed_meanwhile_is_not_left_there(
    store: BucketStore, pod: Pod, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Sent is what came home and nothing else, whole or in parts."""
    monkeypatch.setattr(pod.program, "PART_BYTES", 5 * MIB)
    (pod.out / "big").write_bytes(b"a" * 6 * MIB)
    asked = pod.asked("s3://closed")
    (pod.out / "big").write_bytes(b"b" * 6 * MIB)

    assert "changed on the pod" in pod.call("send", asked, capsys)["error"]
    assert ({}, []) == (store.objects("closed"), store.unfinished("closed"))


@pytest.mark.parametrize(
    ("to", "changed", "expected"),
    [
        ("s3://closed/x", {}, None),
        ("s3://nothere/x", {}, "NoSuchBucket"),
        ("s3://closed/x", {"AWS_SECRET_ACCESS_KEY": "planted-wrong"}, "SignatureDoesNotMatch"),
        ("s3://closed/x", {"AWS_ACCESS_KEY_ID": "AKIAPLANTED"}, "InvalidAccessKeyId"),
        ("s3://closed/x", {"as": "READER"}, "AccessDenied"),
        ("s3://closed/x", {"as": "WRITER"}, "tell of x/.runpod-deploy-check (403"),
        ("s3://closed/x", {"AWS_REGION": "us-east-1\r"}, None),
        (
            "s3://closed/x",
            {"AWS_SESSION_TOKEN": "planted\rtoken"},
            "AWS_SESSION_TOKEN of the secret",
        ),
        ("s3://closed/x", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_what_will_not_do_is_told_before_the_job(
    pod: Pod,
    keys: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    to: str,
    changed: dict[str, str],
    expected: str | None,
) -> None:
    """The check leaves nothing behind, and tells which of key, right, bucket or address is wrong."""
    if "as" in changed:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        changed = {name: keys[f"{changed['as']}_{name}"] for name in names}
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pod.program.bucket, "_wait", lambda _sec: None)

    last = pod.call("check", pod.asked(to), capsys)

    assert "planted" not in json.dumps(last).lower()
    assert (expected is None) is ("done" in last)
    assert expected is None or expected in last["error"]


def test_the_check_leaves_nothing_behind(store: BucketStore) -> None:
    """Neither an object nor an upload that was begun."""
    assert ({}, []) == (store.objects("closed"), store.unfinished("closed"))


@pytest.mark.parametrize("shell", SHELLS)
def test_keys_come_from_a_file_in_every_shell(
    store: BucketStore, pod: Pod, keys: dict[str, str], shell: str
) -> None:
    """Lines of a .env file without `export` do; a pod without python, or without the file, says so."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home = pod.folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "upload.sh").write_text(render("upload", home=str(home)))
    for name in ("upload.py", "bucket.py"):
        shutil.copy(FOLDER / name, home / "bin")
    secret = pod.folder / "keys.env"
    secret.write_text(
        "".join(f"{name}='{value}'\n" for name, value in keys.items() if name.startswith("AWS_"))
    )
    (pod.out / shell).write_bytes(b"x")
    found = str(shutil.which(shell))
    words = [*([found, "sh"] if shell == "busybox" else [found]), str(home / "bin" / "upload.sh")]

    def run(path: str, file: Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*words, "send", str(file)],
            input=json.dumps(pod.asked("s3://shell")).encode(),
            env={"PATH": path},
            capture_output=True,
            check=False,
            timeout=120,
        )

    done = run(os.environ["PATH"], secret)
    bare = pod.folder / "bare"
    bare.mkdir()
    (bare / "mkdir").symlink_to(str(shutil.which("mkdir")))
    without = run(str(bare), secret)
    unread = pod.folder / "unread.env"
    unread.write_text("AWS_ACCESS_KEY_ID='planted\n")
    broken = run(os.environ["PATH"], unread)
    nowhere = run(os.environ["PATH"], pod.folder / "none")

    assert (0, b"") == (done.returncode, done.stderr), done.stdout
    assert b"x" == store.objects("shell")[shell]
    assert (1, 1, 1) == (without.returncode, nowhere.returncode, broken.returncode)
    assert b"planted" not in broken.stdout + broken.stderr
    assert "error" in json.loads(broken.stdout)
    assert "no python3" in json.loads(without.stdout)["error"]
    assert "not on the pod" in json.loads(nowhere.stdout)["error"]
