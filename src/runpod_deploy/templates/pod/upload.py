"""Sends results from a pod to a bucket and has the store say what it holds; needs Python 3.7 alone.

Called with `check` or `send`. Where and what stands as JSON on stdin, the credentials in the environment:
`{to, endpoint, remote_path, state, files: [{path, size, sha256}]}`. Every line that is printed is JSON:
`{"progress": bytes}`, and last `{"done": {…}}` or `{"error": text}`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bucket  # type: ignore[import-not-found]  # lies beside this file
from bucket import Problem, Refused, Store, ask, store_of, tag

PART_BYTES = 32 << 20
MOST_PARTS = 10000
WORKERS = 4
PROBE = ".runpod-deploy-check"


class File(NamedTuple):
    """A file that is to be in the bucket."""

    local: bytes
    key: str
    size: int
    sha256: str


class Sums:
    """The digests of a file as its parts go by."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.md5s: list[bytes] = []

    def add(self, part: bytes) -> bytes:
        """Take one more part in; returns its MD5."""
        self.sha256.update(part)
        self.md5s.append(hashlib.md5(part).digest())
        return self.md5s[-1]

    def etag(self, *, whole: bool) -> str:
        """Return what S3 calls a file that was sent whole, or in parts."""
        if whole:
            return self.md5s[0].hex()
        return f"{hashlib.md5(b''.join(self.md5s)).hexdigest()}-{len(self.md5s)}"


def part_bytes(size: int) -> int:
    """Return how large the parts of a file are."""
    return max(PART_BYTES, -(-size // MOST_PARTS))


def sums_of(file: File) -> Sums:
    """Read a file; an empty one has one part."""
    sums, step = Sums(), part_bytes(file.size)
    with open(file.local, "rb") as stream:
        part = stream.read(step)
        while part or not sums.md5s:
            sums.add(part)
            part = stream.read(step)
    return sums


def held(store: Store, file: File, *, before: bool) -> Any:
    """Return the headers by which the store tells what it holds, None when it holds nothing.

    Before a file is sent, a store that does not let us ask for what may not be there tells nothing.
    """
    try:
        asked = {"x-amz-checksum-mode": "ENABLED"}
        return ask(store, f"tell of {file.key}", "HEAD", file.key, headers=asked).headers
    except Refused as error:
        if error.status == 404 or (before and error.status == 403):
            return None
        raise


def proof(headers: Any, file: File, sums: Sums) -> str | None:
    """Return how the store's answer proves a file: `""` when it says neither, None when it is another."""
    if headers is None or headers.get("Content-Length") != str(file.size):
        return None
    checksum = headers.get("x-amz-checksum-sha256", "")
    if checksum and "-" not in checksum:
        return "sha256" if checksum == _base64(bytes.fromhex(file.sha256)) else None
    etag = headers.get("ETag", "").strip('"')
    if etag in (sums.etag(whole=True), sums.etag(whole=False)):
        return "md5"
    return ""


class Sending:
    """One artifact on its way."""

    def __init__(self, store: Store, state: str, tell: Callable[[int], None]) -> None:
        self.store = store
        self.state = state
        self.tell = tell
        self.sent = [0, 0]
        self.proofs: dict[str, int] = {}
        self.checksums = True
        self._lock = threading.Lock()
        self._begun = _read_state(state)

    def bring(self, file: File, pool: ThreadPoolExecutor | None = None) -> None:
        """Have the store hold a file, and say so; in parts, several at a time, with a pool."""
        there = held(self.store, file, before=True)
        if there is not None and there.get("Content-Length") == str(file.size):
            sums = sums_of(file)
            _same(file, sums)
            known = proof(there, file, sums)
            if known:
                self._proven(known)
                self.tell(file.size)
                return
        sums = self._whole(file) if pool is None else self._in_parts(file, pool)
        with self._lock:
            self.sent = [self.sent[0] + 1, self.sent[1] + file.size]
        told = proof(held(self.store, file, before=False), file, sums)
        if told == "":
            told = self._read_back(file)
        if told is None:
            raise Problem(f"what the store holds as {file.key} is not what was sent")
        self._proven(told)

    def _proven(self, how: str) -> None:
        with self._lock:
            self.proofs[how] = self.proofs.get(how, 0) + 1

    def _whole(self, file: File) -> Sums:
        with open(file.local, "rb") as stream:
            body = stream.read(file.size + 1)
        sums = Sums()
        headers = {"content-md5": _base64(sums.add(body))}
        _same(file, sums)
        checked = {**headers, "x-amz-checksum-sha256": _base64(bytes.fromhex(file.sha256))}
        what = f"take {file.key}"
        try:
            sent = checked if self.checksums else headers
            ask(self.store, what, "PUT", file.key, body=body, headers=sent)
        except Refused as error:
            if not self.checksums or error.status not in (400, 501):
                raise
            # Some stores know MD5 only.
            ask(self.store, what, "PUT", file.key, body=body, headers=headers)
            self.checksums = False
        self.tell(file.size)
        return sums

    def _in_parts(self, file: File, pool: ThreadPoolExecutor) -> Sums:
        upload, known = self._begun.get(file.key, ("", {}))
        if upload:
            try:
                return self._parts(file, pool, upload, known)
            except Refused as error:
                if error.code != "NoSuchUpload":
                    raise
        made = ask(self.store, f"take {file.key}", "POST", file.key, {"uploads": ""}, b"")
        upload = tag(made.body.decode("utf-8", "replace"), "UploadId")
        self._note({"key": file.key, "upload": upload})
        return self._parts(file, pool, upload, {})

    def _parts(
        self, file: File, pool: ThreadPoolExecutor, upload: str, known: dict[str, str]
    ) -> Sums:
        sums, step = Sums(), part_bytes(file.size)
        waiting: list[Future[str]] = []
        room, failed = threading.BoundedSemaphore(WORKERS), threading.Event()

        def over(work: Future[str]) -> None:
            if work.exception() is not None:
                failed.set()
            room.release()

        with open(file.local, "rb") as stream:
            part = stream.read(step)
            while part and not failed.is_set():
                md5, number = sums.add(part), len(sums.md5s)
                room.acquire()
                work = pool.submit(self._part, file, upload, number, part, md5, known)
                work.add_done_callback(over)
                waiting.append(work)
                part = stream.read(step)
        tags = [work.result() for work in waiting]
        try:
            _same(file, sums)
        except Problem:
            ask(self.store, "give up", "DELETE", file.key, {"uploadId": upload})
            raise
        rows = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{html.escape(etag)}</ETag></Part>"
            for n, etag in enumerate(tags, start=1)
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        answer = ask(
            self.store, f"take {file.key}", "POST", file.key, {"uploadId": upload}, body
        ).body.decode("utf-8", "replace")
        if "<Error>" in answer:  # its status was sent before it was done
            raise Refused(f"take {file.key}", 200, tag(answer, "Code"), tag(answer, "Message"))
        self._note({"key": file.key, "upload": ""})
        return sums

    def _part(
        self,
        file: File,
        upload: str,
        number: int,
        part: bytes,
        md5: bytes,
        known: dict[str, str],
    ) -> str:
        name = f"{number} {md5.hex()}"
        if name in known:
            self.tell(len(part))
            return known[name]
        query = {"partNumber": str(number), "uploadId": upload}
        answer = ask(
            self.store,
            f"take part {number} of {file.key}",
            "PUT",
            file.key,
            query,
            part,
            {"content-md5": _base64(md5)},
        )
        etag = str(answer.headers.get("ETag", ""))
        self._note({"key": file.key, "part": name, "etag": etag})
        self.tell(len(part))
        return etag

    def _read_back(self, file: File) -> str | None:
        def read(answer: Any) -> bytes:
            digest = hashlib.sha256()  # of this answer alone: it may be asked for again
            piece = answer.read(1 << 20)
            while piece:
                digest.update(piece)
                piece = answer.read(1 << 20)
            return digest.digest()

        back = ask(self.store, f"give {file.key} back", "GET", file.key, read=read)
        return "read" if back.body.hex() == file.sha256 else None

    def _note(self, row: dict[str, str]) -> None:
        with self._lock, open(self.state, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def _same(file: File, sums: Sums) -> None:
    if sums.sha256.hexdigest() != file.sha256:
        raise Problem(f"{file.key} is not what was brought home: it changed on the pod")


def _read_state(path: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the uploads in parts that were begun and not ended: key to its id and parts."""
    begun: dict[str, tuple[str, dict[str, str]]] = {}
    try:
        with open(path, encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream if line.endswith("\n")]
    except (OSError, ValueError):
        return {}
    for row in rows:
        if "upload" in row:
            begun[row["key"]] = (row["upload"], {})
        elif row["key"] in begun:
            begun[row["key"]][1][row["part"]] = row["etag"]
    return {key: found for key, found in begun.items() if found[0]}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def check(store: Store, state: str, prefix: str) -> None:
    """Find out whether all that sending needs can be done, with a small file; it is removed if we may."""
    key = f"{prefix}{PROBE}"
    _check_parts(store, key, prefix)
    content = os.urandom(16).hex().encode()  # never what an earlier check left there
    local = os.fsencode(f"{state}.probe")
    with open(local, "wb") as stream:
        stream.write(content)
    try:
        file = File(local, key, len(content), hashlib.sha256(content).hexdigest())
        Sending(store, state, lambda _size: None).bring(file)
    except Problem:
        with contextlib.suppress(Problem):  # told is what went wrong first
            _ask_if_allowed(store, "remove what was tried", key)
        raise
    finally:
        os.remove(local)
    _ask_if_allowed(store, "remove what was tried", key)


def _check_parts(store: Store, key: str, prefix: str) -> None:
    """Begin an upload in parts, and give it up at once."""
    made = ask(store, f"take anything below {prefix}", "POST", key, {"uploads": ""}, b"")
    upload = tag(made.body.decode("utf-8", "replace"), "UploadId")
    if not upload:
        raise Problem(f"{store.host} does not speak S3")
    _ask_if_allowed(store, "give up", key, {"uploadId": upload})


def _ask_if_allowed(store: Store, what: str, key: str, query: dict[str, str] | None = None) -> None:
    """Have something removed; who may not do that may write all the same."""
    try:
        ask(store, what, "DELETE", key, query)
    except Refused as error:
        if error.status != 403:
            raise


def files_of(asked: dict[str, Any], prefix: str) -> list[File]:
    """Return the files to send; those of a single file lie beside it."""
    root = os.fsencode(asked["remote_path"])
    folder = os.path.dirname(root) if os.path.isfile(root) else root
    return [
        File(
            os.path.join(folder, row["path"].encode("utf-8", "surrogateescape")),
            prefix + row["path"],
            row["size"],
            row["sha256"],
        )
        for row in asked["files"]
    ]


def send(store: Store, asked: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Send what the store does not hold; returns what was done."""
    files = files_of(asked, prefix)
    done, at = [0], [0.0]
    lock = threading.Lock()

    def tell(size: int) -> None:
        with lock:
            done[0] += size
            if time.monotonic() - at[0] > 0.5:
                at[0] = time.monotonic()
                say({"progress": done[0]})

    sending = Sending(store, asked["state"], tell)
    with ThreadPoolExecutor(WORKERS) as pool:
        small = [pool.submit(sending.bring, file) for file in files if file.size <= PART_BYTES]
        try:
            for work in small:
                work.result()
            for file in files:
                if file.size > PART_BYTES:
                    sending.bring(file, pool)
        except BaseException:
            for work in small:
                work.cancel()
            raise
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "sent_files": sending.sent[0],
        "sent_bytes": sending.sent[1],
        "proofs": sending.proofs,
    }


def say(row: dict[str, Any]) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main(verb: str) -> int:
    """Do what is asked; returns the exit status."""
    try:
        asked = json.loads(sys.stdin.buffer.read())
        name, _, prefix = asked["to"][len("s3://") :].partition("/")
        prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        store = store_of(name, asked["endpoint"], os.environ)
        done: dict[str, Any] = {}
        if verb == "send":
            done = send(store, asked, prefix)
        else:
            bucket.TRIES, bucket.TIMEOUT_SEC = 2, 20  # a job waits for the answer
            check(store, asked["state"], prefix)
    except (Problem, OSError) as error:
        say({"error": str(error)})
        return 1
    except Exception as error:  # noqa: BLE001 - its text may hold a key
        say({"error": f"the program that sends them failed ({type(error).__name__})"})
        return 1
    say({"done": done})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
