"""Transfers with the script that runs on pods which have python3."""

import ast
import asyncio
import hashlib
import os
import sys
from importlib import resources
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync import worker
from runpod_deploy.executor.sync.download import DownloadReport, download
from runpod_deploy.executor.sync.far import digesting, packing
from runpod_deploy.executor.sync.far.serve import serve
from runpod_deploy.executor.sync.far.talk import Failed, Talk
from runpod_deploy.executor.sync.frames import BLOCK_BYTES, LARGE_FROM
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import UploadReport, upload
from support.here_pod import HerePod

NAMES = ["a", "-rf", "sub/b c", "new\nline", "ünï", "q'uo\"te", "n" * 200, "d/" + "é" * 100]
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Come back from where the script goes to."""
    monkeypatch.chdir(tmp_path)


def payload(root: Path) -> list[PayloadEntry]:
    """Return a folder as a plan lists it."""
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            target = str(path.readlink())
            digest, size = hashlib.sha256(target.encode()).hexdigest(), len(target)
            found.append(
                PayloadEntry(
                    path=name, type="link", size=size, exec=False, sha256=digest, target=target
                )
            )
        elif path.is_file():
            content, runs = path.read_bytes(), bool(path.stat().st_mode & 0o100)
            digest = hashlib.sha256(content).hexdigest()
            found.append(
                PayloadEntry(path=name, type="file", size=len(content), exec=runs, sha256=digest)
            )
    return found


def sent(root: Path, to: Path, *, pod: HerePod | None = None, tag: str = "t") -> UploadReport:
    """Upload a folder."""
    return asyncio.run(
        upload(
            pod or HerePod(),
            root=root,
            entries=payload(root),
            destination=str(to),
            delete=False,
            progress=lambda _name, _done, _total: None,
            tag=tag,
        )
    )


def pulled(source: Path, to: Path) -> DownloadReport:
    """Download a folder or file."""
    return asyncio.run(
        download(
            HerePod(),
            remote_path=str(source),
            local=to,
            keep=lambda _path, _folder: True,
            progress=lambda _name, _done, _total: None,
        )
    )


def tree(root: Path) -> dict[str, tuple[str, bytes, int, int]]:
    """Return every file and link: kind, content, exec bit and mtime in seconds."""
    found = {}
    for path in root.rglob("*"):
        name, status = path.relative_to(root).as_posix(), path.lstat()
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()).encode(), 0, 0)
        elif path.is_file() and path.name != ".runpod-deploy-owned":
            runs = status.st_mode & 0o100
            found[name] = ("file", path.read_bytes(), runs, int(status.st_mtime))
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder of odd names, an executable, an empty file and a link."""
    root = tmp_path / "source"
    for name in NAMES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 50)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    (root / "a").chmod(0o755)
    (root / "empty").touch()
    (root / "sub/link").symlink_to("b c")
    return root


def test_a_tree_arrives_and_then_only_what_changed_travels(source: Path, tmp_path: Path) -> None:
    """All is as it was here; asked again nothing goes over, and of a change only that file."""
    far = tmp_path / "far" / "src"
    first = sent(source, far)
    assert tree(source) == tree(far)
    assert (first.created, first.unchanged) == (True, 0)
    assert sorted(path.name for path in far.parent.iterdir()) == ["src"]
    again = sent(source, far)
    assert (again.files, again.links, again.unchanged) == (0, 0, len(NAMES) + 2)
    (source / "sub/b c").write_bytes(b"other")
    (source / "new/deep").mkdir(parents=True)
    (source / "new/deep/er").write_bytes(b"new")
    (source / "sub/link").unlink()
    (source / "sub/link").symlink_to("../a")
    third = sent(source, far)
    assert (third.files, third.links, third.created) == (2, 1, False)
    assert tree(source) == tree(far)
    assert [path.name for path in far.iterdir() if path.name.startswith(".rd-")] == []


def test_an_exec_bit_that_changed_is_sent(source: Path, tmp_path: Path) -> None:
    """A file whose content is right and whose mode is not is put in place anew."""
    sent(source, tmp_path / "far")
    (tmp_path / "far" / "a").chmod(0o644)
    assert sent(source, tmp_path / "far").files == 1
    assert tree(source) == tree(tmp_path / "far")


@pytest.mark.parametrize(("ours", "theirs"), [("x", "x/y"), ("x/y", "x")])
def test_a_conflict_is_found_before_anything_moves(tmp_path: Path, ours: str, theirs: str) -> None:
    """A folder where a file goes, or the reverse, stops it and leaves the destination alone."""
    root, far = tmp_path / "source", tmp_path / "far"
    for folder, name in ((root, ours), (root, "a"), (far, theirs)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"content")
    before, pod = tree(far), HerePod()
    with pytest.raises(StepFailed, match="folder") as caught:
        sent(root, far, pod=pod)
    assert caught.value.cause == "destination_conflict"
    assert {name: one for name, one in tree(far).items() if not name.startswith(".rd-")} == before
    assert len(pod.commands) == 1  # the one that removes what was sent


def test_a_single_file_becomes_the_destination(tmp_path: Path) -> None:
    """It gets the name that was asked for, and its hidden folder goes."""
    (tmp_path / "one").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    entry = PayloadEntry(path="", type="file", size=7, exec=True, sha256=digest)
    for unchanged in (0, 1):
        report = asyncio.run(
            upload(
                HerePod(),
                root=tmp_path / "one",
                entries=[entry],
                destination=str(tmp_path / "far" / "named"),
                delete=False,
                progress=lambda _name, _done, _total: None,
            )
        )
        assert report.unchanged == unchanged
    assert list(tree(tmp_path / "far")) == ["named"]
    assert (tmp_path / "far/named").stat().st_mode & 0o777 == 0o755


def test_a_large_file_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    """What lies in the hidden folder is kept if it is right; equal files come once."""
    root, far = tmp_path / "source", tmp_path / "far"
    root.mkdir()
    content = os.urandom(LARGE_FROM + 5)
    (root / "m1").write_bytes(content)
    (root / "m2").write_bytes(content)
    (root / "m2").chmod(0o755)
    partial = tmp_path / ".rd-upload-t" / "large"
    partial.mkdir(parents=True)
    (tmp_path / ".rd-upload-t" / "tree").mkdir()
    kept = content[:BLOCK_BYTES] + bytes(BLOCK_BYTES)
    (partial / hashlib.sha256(content).hexdigest()).write_bytes(kept)
    report = sent(root, far)
    assert tree(root) == tree(far)
    assert BLOCK_BYTES < report.sent < BLOCK_BYTES + MIB


def answers(tmp_path: Path, *frames: bytes) -> bytes:
    """Return what the script says to frames; raises as it does."""
    (tmp_path / "frames").write_bytes(b"".join(frames))
    source = os.open(tmp_path / "frames", os.O_RDONLY)
    sink = os.open(tmp_path / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        serve(Talk(source, sink))
    finally:
        os.close(source)
        os.close(sink)
    return (tmp_path / "said").read_bytes()


def opening(target: Path) -> bytes:
    """Return the frame that begins an upload."""
    body = f"{target}\0{target.parent}\0t\0tree".encode()
    return b"open %d\n%b" % (len(body), body)


def test_content_that_arrives_broken_is_not_taken(tmp_path: Path) -> None:
    """A file whose sha256 is not as told ends the upload and is not written."""
    head = b"f\x000\x004\x00x\x00" + hashlib.sha256(b"good").hexdigest().encode() + b"\0"
    body = len(head).to_bytes(4, "big") + head + b"evil"
    with pytest.raises(Failed, match="other content on arrival: x") as caught:
        answers(tmp_path, opening(tmp_path / "far"), b"files none %d\n%b" % (len(body), body))
    assert caught.value.status == 42
    assert not (tmp_path / "far").exists()


def test_frames_that_end_early_are_no_end(tmp_path: Path) -> None:
    """A body that is cut is told from one that is whole."""
    with pytest.raises(EOFError):
        answers(tmp_path, b"open 100\nshort")
    with pytest.raises(Failed, match="out of step"):
        answers(tmp_path, b"commit 0\n")


def test_a_tree_comes_home_and_nothing_twice(source: Path, tmp_path: Path) -> None:
    """Names, contents, modes, times, links and empty folders come over; then nothing has to."""
    (source / "hollow").mkdir()
    report = pulled(source, tmp_path / "back")
    assert tree(source) == tree(tmp_path / "back")
    assert (tmp_path / "back" / "hollow").is_dir()
    assert (report.files, report.fetched, report.refused) == (len(NAMES) + 1, len(NAMES) + 1, ())
    assert pulled(source, tmp_path / "back").fetched == 0


def test_a_large_file_comes_in_ranges(tmp_path: Path) -> None:
    """Several answers make one file, whether they shrink or not."""
    source = tmp_path / "out"
    source.mkdir()
    (source / "model").write_bytes(os.urandom(9 * MIB) + b"text " * MIB)
    pod = Shelled()
    report = asyncio.run(
        download(
            pod,
            remote_path=str(source),
            local=tmp_path / "back",
            keep=lambda _path, _folder: True,
            progress=lambda _name, _done, _total: None,
        )
    )
    assert (report.files, report.refused) == (1, ())
    assert tree(source) == tree(tmp_path / "back")


class Shelled(HerePod):
    """Also knows the shell's way to hash a large file."""

    async def stream(self, command, *, stdin=None):
        """Answer a digest, or as the script does."""
        if "none 0" in command:
            async for chunk in HerePod.stream(self, command, stdin=stdin):
                yield chunk
            return
        folder = Path(command.rsplit(" ", 1)[1])
        name = stdin.decode().rstrip("\0")
        yield f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\0".encode()


def test_a_file_is_listed_and_brought_by_itself(source: Path, tmp_path: Path) -> None:
    """A path that is a file comes as one; what is not there is missing."""
    assert pulled(source / "a", tmp_path / "named").files == 1
    assert (tmp_path / "named").read_bytes() == b"a" * 50
    assert pulled(source / "none", tmp_path / "other").missing


def test_one_script_serves_several_uploads(source: Path, tmp_path: Path) -> None:
    """The connection's script is started once, and ends when its connections are closed."""
    pod = HerePod()

    async def twice() -> None:
        lanes = Lanes()
        for name in ("one", "two", "one"):
            await upload(
                pod,
                root=source,
                entries=payload(source),
                destination=str(tmp_path / name),
                delete=False,
                progress=lambda _name, _done, _total: None,
                lanes=lanes,
            )
        await lanes.close()

    asyncio.run(twice())
    assert pod.started == 1
    assert tree(tmp_path / "one") == tree(tmp_path / "two") == tree(source)


def test_work_that_is_spread_comes_back_in_order() -> None:
    """The pieces follow each other as the items do, whatever did them."""
    items = [b"%d " % number for number in range(50)]
    assert b"".join(digesting.spread(b"".join, items, 1000)) == b"".join(items)
    assert digesting.spread(b"".join, [], 10) == []


def test_pieces_are_packed_only_where_they_shrink() -> None:
    """Text is packed, noise goes as it is, and a broken piece is told."""
    codec, packed = packing.pack("gzip", b"text " * 1000)
    assert (codec, packing.expand(codec, packed)) == ("gzip", b"text " * 1000)
    noise = os.urandom(5000)
    assert packing.pack("gzip", noise) == ("none", noise)
    with pytest.raises(Failed, match="cannot be expanded"):
        packing.expand("gzip", b"nonsense")


def test_what_is_sent_to_pods_needs_nothing_but_an_old_python() -> None:
    """Every module of it is Python 3.8, imports the standard library alone, and fits one argument."""
    folder = resources.files("runpod_deploy.executor.sync.far")
    for name in worker._MODULES:
        text = folder.joinpath(f"{name}.py").read_text("utf-8")
        parsed = ast.parse(text, feature_version=(3, 8))
        for node in ast.walk(parsed):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= sys.stdlib_module_names
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = node.module.startswith("runpod_deploy.executor.sync.far")
                assert inside or node.module.split(".")[0] in sys.stdlib_module_names
    assert len(worker.command()) < 100_000
