"""How the pod signs a request, and what it takes for a proof that the store holds a file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from support.pod_programs import load

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
EMPTY = hashlib.sha256(b"").hexdigest()
upload: Any = load("upload")
bucket = upload.bucket


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody."""
    monkeypatch.setattr(bucket, "_wait", lambda _sec: None)


def test_a_request_is_signed_as_amazon_publishes_it() -> None:
    """The signature is the one in the documentation of S3's version 4 for its example of GET."""
    store = bucket.store_of("examplebucket", None, KEYS)._replace(
        host="examplebucket.s3.amazonaws.com"
    )
    headers = {
        "host": store.host,
        "range": "bytes=0-9",
        "x-amz-content-sha256": EMPTY,
        "x-amz-date": "20130524T000000Z",
    }
    said = bucket.signature(store, ["GET", "/test.txt", "", EMPTY], headers, "20130524T000000Z")
    assert said.endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


@pytest.mark.parametrize(
    ("name", "endpoint", "environ", "expected"),
    [
        ("out", None, {}, ("https", "out.s3.us-east-1.amazonaws.com", "/")),
        ("my.out", None, {"AWS_REGION": "eu-north-1"}, ("https", "s3.eu-north-1.amazonaws.com", "/my.out/")),
        ("out", None, {"AWS_ENDPOINT_URL": "https://x.test/s3/"}, ("https", "x.test", "/s3/out/")),
        (
            "out",
            "https://a.test:9000",
            {"AWS_ENDPOINT_URL_S3": "https://b.test"},
            ("https", "a.test:9000", "/out/"),
        ),
        ("out", "http://127.0.0.1:9000", {}, ("http", "127.0.0.1:9000", "/out/")),
    ],
)  # fmt: skip
def test_each_store_is_asked_where_it_is(
    name: str, endpoint: str | None, environ: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """Amazon by the bucket's host name, others by the endpoint of the plan, else of the secret."""
    store = bucket.store_of(name, endpoint, {**KEYS, **environ})
    assert expected == (store.scheme, store.host, store.path)


def test_nothing_is_asked_in_clear_or_without_keys() -> None:
    """A secret that holds no keys, and an endpoint without TLS, are told as what they are."""
    with pytest.raises(bucket.Problem, match="does not set AWS_SECRET_ACCESS_KEY"):
        bucket.store_of("out", None, {"AWS_ACCESS_KEY_ID": "a"})
    with pytest.raises(bucket.Problem, match="in clear"):
        bucket.store_of("out", "http://store.test", KEYS)


def test_a_session_token_is_sent_and_signed() -> None:
    """Keys that end with their session need its token."""
    store = bucket.store_of("out", None, {**KEYS, "AWS_SESSION_TOKEN": "short-lived"})
    request = bucket.request_of(store, "PUT", "a b/ü", {"uploads": ""}, b"x", {})
    assert "short-lived" == request.get_header("X-amz-security-token")
    assert "x-amz-security-token" in request.get_header("Authorization")
    assert request.full_url.endswith("/a%20b/%C3%BC?uploads=")


def a_file(content: bytes, **changes: Any) -> Any:
    """Return a file with its digest."""
    made = upload.File(b"/x", "k", len(content), hashlib.sha256(content).hexdigest())
    return made._replace(**changes)


def told(size: int, **headers: str) -> dict[str, str]:
    """Return the headers of an answer."""
    return {"Content-Length": str(size), **{k.replace("_", "-"): v for k, v in headers.items()}}


def test_what_proves_a_file() -> None:
    """Its size and a digest that the store computed; a digest of another kind proves nothing."""
    sums, file = upload.Sums(), a_file(b"abcd")
    sums.add(b"ab")
    sums.add(b"cd")
    right = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    single = upload.Sums()
    single.add(b"abcd")
    checksum = {"x-amz-checksum-sha256": right}
    wrong = {"x-amz-checksum-sha256": base64.b64encode(b"0" * 32).decode()}

    assert None is upload.proof(None, file, sums)
    assert None is upload.proof(told(3) | checksum, file, sums)
    assert None is upload.proof(told(4) | wrong, file, sums)
    assert "sha256" == upload.proof(told(4) | checksum, file, sums)
    assert "md5" == upload.proof(told(4, ETag=f'"{sums.etag(whole=False)}"'), file, sums)
    assert "md5" == upload.proof(told(4, ETag=f'"{single.etag(whole=True)}"'), file, single)
    assert "" == upload.proof(told(4, ETag='"encrypted"'), file, sums)
    assert "" == upload.proof(told(4, x_amz_checksum_sha256=f"{right}-2"), file, sums)


class Script:
    """A store that answers from a list; a number is a refusal, an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def __call__(self, request: Any, timeout: float) -> Any:
        """Answer the next request."""
        self.asked.append((request.method, request.full_url, dict(request.header_items())))
        assert timeout > 0
        what = self.answers.pop(0)
        if isinstance(what, Exception):
            raise what
        if isinstance(what, tuple):
            status, body = what
            raise urllib.error.HTTPError("", status, "", Message(), io.BytesIO(body))
        return Answer(what)


class Answer(io.BytesIO):
    """What `urlopen` gives back."""

    def __init__(self, headers: dict[str, str], body: bytes = b"") -> None:
        super().__init__(body)
        self.headers = headers


@pytest.fixture
def a_job(tmp_path: Path) -> Any:
    """Return a function that sends one file to a scripted store; returns status and last line."""

    def run(script: Script, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> tuple[int, Any]:
        (tmp_path / "a").write_bytes(b"abc")
        row = {"path": "a", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
        asked = {
            "to": "s3://out/x",
            "endpoint": "https://store.test",
            "remote_path": str(tmp_path),
            "state": str(tmp_path / "state"),
            "files": [row],
        }
        monkeypatch.setattr(bucket, "_open", script)
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        stdin = type("Stdin", (), {"buffer": io.BytesIO(json.dumps(asked).encode())})
        monkeypatch.setattr("sys.stdin", stdin)
        status = upload.main("send")
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


MD5 = hashlib.md5(b"abc").hexdigest()
RIGHT = {"Content-Length": "3", "ETag": f'"{MD5}"'}
NOT_THERE = (404, b"")


def test_a_store_that_stumbles_is_asked_again(
    a_job: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Errors of the store's side and broken connections are tried again, with a new signature."""
    script = Script(NOT_THERE, (503, b""), ConnectionResetError("gone"), {}, (500, b""), RIGHT)
    status, last = a_job(script, monkeypatch, capsys)
    assert (0, {"md5": 1}) == (status, last["done"]["proofs"])
    assert ["HEAD", "PUT", "PUT", "PUT", "HEAD", "HEAD"] == [one[0] for one in script.asked]


def test_a_store_that_knows_no_checksums_gets_none(
    a_job: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What it refuses for the header is sent once more without; who may not list is asked after."""
    refusal = (501, b"<Error><Code>NotImplemented</Code></Error>")
    script = Script((403, b""), refusal, {}, RIGHT)
    assert 0 == a_job(script, monkeypatch, capsys)[0]
    first, second = script.asked[1:3]
    assert "X-amz-checksum-sha256" in first[2]
    assert "X-amz-checksum-sha256" not in second[2]
    assert "Content-md5" in second[2]


@pytest.mark.parametrize(("content", "expected"), [(b"abc", 0), (b"abd", 1)])
def test_what_no_digest_tells_of_is_read_back(
    a_job: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    content: bytes,
    expected: int,
) -> None:
    """An encrypted object has an ETag of its own kind: the content itself is the proof then."""
    encrypted = {"Content-Length": "3", "ETag": '"sealed"'}
    script = Script(NOT_THERE, {}, encrypted)
    give = script.__call__

    def answer(request: Any, timeout: float) -> Any:
        return Answer({}, content) if request.method == "GET" else give(request, timeout)

    status, last = a_job(answer, monkeypatch, capsys)
    assert expected == status
    assert ("error" in last) is bool(expected)


def test_what_is_read_back_in_two_tries_is_digested_once(
    a_job: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """An answer that breaks off counts for nothing: the next one is a whole one."""
    script = Script(NOT_THERE, {}, {"Content-Length": "3", "ETag": '"sealed"'})
    tries = []

    class Broken(Answer):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise ConnectionResetError("gone")
            return super().read(1 if size else 0)

    def answer(request: Any, timeout: float) -> Any:
        if request.method != "GET":
            return script(request, timeout)
        tries.append(request)
        return Answer({}, b"abc") if len(tries) > 1 else Broken({}, b"abc")

    status, last = a_job(answer, monkeypatch, capsys)
    assert (0, {"read": 1}, 2) == (status, last["done"]["proofs"], len(tries))


def test_line_ends_of_another_system_are_no_part_of_a_key() -> None:
    """Blanks around a value are dropped; what cannot stand in a header is refused unseen."""
    keys = {name: f"{value}\r" for name, value in KEYS.items()}
    store = bucket.store_of("out", None, {**keys, "AWS_SESSION_TOKEN": " token\r\n"})
    assert (KEYS["AWS_ACCESS_KEY_ID"], "token") == (store.key_id, store.token)
    with pytest.raises(bucket.Problem, match="AWS_SESSION_TOKEN") as error:
        bucket.store_of("out", None, {**KEYS, "AWS_SESSION_TOKEN": "planted\ntoken"})
    assert "planted" not in str(error.value)


def test_of_an_error_that_nobody_expects_only_the_kind_is_told(
    a_job: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Its text may hold what was to be sent, keys included."""
    status, last = a_job(Script(ValueError("planted-key")), monkeypatch, capsys)
    assert (1, "the program that sends them failed (ValueError)") == (status, last["error"])


def test_a_refusal_is_told_without_what_was_signed(
    a_job: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Of the store's answer only its code and message are passed on."""
    body = (
        b"<Error><Code>AccessDenied</Code><Message>No &amp; never</Message>"
        b"<StringToSign>AWS4 planted</StringToSign></Error>"
    )
    status, last = a_job(Script(NOT_THERE, (403, body)), monkeypatch, capsys)
    assert 1 == status
    assert "the store refused to take x/a (403, AccessDenied: No & never)" == last["error"]
