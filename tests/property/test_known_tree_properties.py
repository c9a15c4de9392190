"""Whatever is done to a tree, a plan that remembers it sees what a plan without a memory sees."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from runpod_deploy.facts import digest_cache, known_tree
from runpod_deploy.facts import payload as payload_module
from runpod_deploy.facts.payload import Payload, find_payload

NAMES = st.sampled_from(["a", "b", "b.log", "c", ".gitignore", "é"])
PLACES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
RULES = st.sampled_from(["*.log\n", "b\n", "!b\n", "/c/\n", ""])
DEEDS = st.one_of(
    st.tuples(st.just("write"), PLACES, RULES),
    st.tuples(st.just("move"), PLACES, PLACES),
    st.tuples(st.just("remove"), PLACES, st.just("")),
    st.tuples(st.just("link"), PLACES, PLACES),
    st.tuples(st.just("mode"), PLACES, st.sampled_from(["0644", "0755"])),
    st.tuples(st.just("none"), PLACES, st.just("")),
)


def do(root: Path, deed: str, place: str, other: str) -> None:
    """Do something to the tree; what cannot be done is left."""
    path = root / place
    with suppress(OSError):
        if deed == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(other)
        elif deed == "move":
            (root / other).parent.mkdir(parents=True, exist_ok=True)
            path.rename(root / other)
        elif deed == "remove":
            path.unlink() if not path.is_dir() or path.is_symlink() else shutil.rmtree(path)
        elif deed == "link":
            path.symlink_to(other)
        elif deed == "mode":
            path.chmod(int(other, 8))


def next_tick(probe: Path) -> None:
    """Return when what is done next gets another time than what was done before."""
    probe.write_text("")
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.write_text("")


@contextmanager
def old_enough() -> Iterator[None]:
    """Let an hour have passed since every change, and one file be enough to be remembered."""
    real = digest_cache.now_ns
    with (
        patch.object(payload_module, "now_ns", lambda: real() + 3600 * 10**9),
        patch.object(known_tree, "_FEWEST_FILES", 1),
    ):
        yield


def seen(source: Path, cache: Path, *, use_cache: bool) -> Payload:
    """Return what would travel."""
    return find_payload(
        source,
        ("*.tmp",),
        ignore_top=source.parent,
        gitignore=True,
        use_cache=use_cache,
        environ={"XDG_CACHE_HOME": str(cache)},
        look=True,
    )


@settings(max_examples=40, deadline=None)
@given(deeds=st.lists(DEEDS, min_size=1, max_size=8))
def test_a_memory_never_hides_a_change(deeds: list[tuple[str, str, str]]) -> None:
    """After each of any deeds, both plans have the same files, digests, obstacles and warnings."""
    with TemporaryDirectory() as place, old_enough():
        source, cache = Path(place, "repo", "src"), Path(place, "cache")
        source.mkdir(parents=True)
        for deed in deeds:
            next_tick(Path(place, "probe"))
            do(source, *deed)
            assert seen(source, cache, use_cache=False) == seen(source, cache, use_cache=True)
