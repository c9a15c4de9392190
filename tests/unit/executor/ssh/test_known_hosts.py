"""The run's own known_hosts file."""

import stat
from pathlib import Path

import asyncssh
import pytest

from runpod_deploy.errors import ConnectFailed, HostKeyChanged
from runpod_deploy.executor.ssh.known_hosts import KnownHosts, fingerprint, host_alias
from runpod_deploy.executor.ssh.transport import openssh_text

KEY = openssh_text(asyncssh.generate_private_key("ssh-ed25519"))
OTHER = openssh_text(asyncssh.generate_private_key("ssh-ed25519"))


def test_a_key_is_filed_under_the_pod(tmp_path: Path) -> None:
    """What was enrolled is found again, and only for its pod."""
    known = KnownHosts(tmp_path / "known_hosts")
    assert known.keys("runpod-a") == ()
    known.enrol("runpod-a", KEY)
    assert KnownHosts(tmp_path / "known_hosts").keys("runpod-a") == (KEY,)
    assert known.keys("runpod-b") == ()


def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    """Nobody else may read or write it."""
    KnownHosts(tmp_path / "k").enrol("runpod-a", KEY)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_openssh_can_read_it(tmp_path: Path) -> None:
    """The file is in OpenSSH's own format, with the alias as the host."""
    KnownHosts(tmp_path / "k").enrol("runpod-a", KEY)
    trusted = asyncssh.read_known_hosts(str(tmp_path / "k")).match("runpod-a", "", None)[0]
    assert [openssh_text(key) for key in trusted] == [KEY]


def test_enrolling_twice_writes_once(tmp_path: Path) -> None:
    """The same key again changes nothing."""
    known = KnownHosts(tmp_path / "k")
    known.enrol("runpod-a", KEY)
    known.enrol("runpod-a", KEY)
    assert (tmp_path / "k").read_text() == f"runpod-a {KEY}\n"


def test_another_key_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    """The error shows what was enrolled and what came."""
    known = KnownHosts(tmp_path / "k")
    known.enrol("runpod-a", KEY)
    with pytest.raises(HostKeyChanged) as caught:
        known.enrol("runpod-a", OTHER)
    assert fingerprint(KEY) in str(caught.value)
    assert fingerprint(OTHER) in str(caught.value)
    assert known.keys("runpod-a") == (KEY,)


def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    """What a crash left without its line break is closed first."""
    (tmp_path / "k").write_text("runpod-b ssh-ed255")
    known = KnownHosts(tmp_path / "k")
    known.enrol("runpod-a", KEY)
    assert known.keys("runpod-a") == (KEY,)
    assert known.keys("runpod-b") == ()


def test_a_damaged_entry_is_no_match(tmp_path: Path) -> None:
    """An entry that is no key is a mismatch and not a crash."""
    (tmp_path / "k").write_text("runpod-a ssh-ed25519 AAAA\n")
    with pytest.raises(HostKeyChanged, match="an unreadable key"):
        KnownHosts(tmp_path / "k").enrol("runpod-a", KEY)


@pytest.mark.parametrize("pod_id", ["", "*", "a b", "a,b", "!a", "a\nb", "|1|x", "é", "a" * 129])
def test_an_id_with_a_meaning_of_its_own_is_refused(pod_id: str) -> None:
    """Wildcards, lists and line breaks cannot get into the file."""
    with pytest.raises(ConnectFailed):
        host_alias(pod_id)


def test_the_alias_names_the_pod() -> None:
    """The alias is what a person would type after HostKeyAlias."""
    assert host_alias("k3y5abc") == "runpod-k3y5abc"


def test_a_pod_that_is_started_anew_is_forgotten_alone(tmp_path: Path) -> None:
    """Its next key is enrolled like a first one; other pods, torn lines and the file's rights stay."""
    path = tmp_path / "known_hosts"
    hosts = KnownHosts(path)
    hosts.forget("runpod-abc")
    assert not path.exists()
    hosts.enrol("runpod-abc", KEY)
    hosts.enrol("runpod-abcd", KEY)
    with path.open("ab") as file:
        file.write(b"runpod-ab")
    hosts.forget("runpod-abc")

    assert (hosts.keys("runpod-abc"), hosts.keys("runpod-abcd")) == ((), (KEY,))
    assert path.read_bytes().endswith(b"\nrunpod-ab")
    assert path.stat().st_mode & 0o777 == 0o600
    hosts.enrol("runpod-abc", OTHER)
    assert hosts.keys("runpod-abc") == (OTHER,)
