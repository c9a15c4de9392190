"""The command line for OpenSSH's own client, and the files it reads."""

import os
from pathlib import Path

import asyncssh
import pytest

from begun_run import Begun
from runpod_deploy.errors import ConnectFailed, InvalidInput
from runpod_deploy.executor.pod_access import PodAccess, access_to, project_root_of
from runpod_deploy.executor.ports import Endpoint, Pod
from runpod_deploy.executor.ssh.openssh import openssh_words, readable
from runpod_deploy.forensics.status import plan_of
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.run import fold

KEY = "rpa_TEST"
SALT = bytes(range(32))


def pod(endpoint: Endpoint | None = None, status: str = "RUNNING") -> Pod:
    """Return the pod as the cloud shows it."""
    return Pod(
        id="pod1",
        name="rd-x",
        status=status,
        gpu=None,
        gpu_count=1,
        cloud=None,
        datacenter=None,
        cost=None,
        image=None,
        ssh=endpoint,
    )


HERE = pod(Endpoint(host="203.0.113.7", port=2222))


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    """A run that has logged in to its pod."""
    begun = Begun(tmp_path).with_job()
    (begun.path / "ssh.salt").write_bytes(SALT)
    (begun.path / "known_hosts").write_text("runpod-pod1 ssh-ed25519 AAAA\n")
    return begun


def access(begun: Begun, api_key: str | None = KEY, seen: Pod | None = HERE) -> PodAccess:
    """Return the way into the run's pod."""
    run = fold(read_events(begun.path / "events.jsonl"))
    plan_file = plan_of(begun.path)
    assert plan_file is not None
    return access_to(begun.path, plan_file, run.pod, api_key=api_key, seen=seen)


def words(way: PodAccess, **more: object) -> list[str]:
    """Return the command line."""
    said = {"keys": ["/k"], "known_hosts": "/h", "command": None, "terminal": False, **more}
    return openssh_words("/usr/bin/ssh", way, **said)


def test_only_the_run_has_a_say(begun: Begun) -> None:
    """Its key, its pinned host key; no agent, no configuration, no other key, no question."""
    line = " ".join(words(access(begun)))
    for part in (
        "-F /dev/null",
        "-i /k",
        "-p 2222 -l root",
        "IdentityAgent=none",
        "UserKnownHostsFile=/h",
        "HostKeyAlias=runpod-pod1",
        "StrictHostKeyChecking=yes",
    ):
        assert part in line
    assert line.endswith(" -- 203.0.113.7")
    assert words(access(begun), command="ls | wc", terminal=True)[-4:] == [
        "-t",
        "--",
        "203.0.113.7",
        "ls | wc",
    ]


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "x;y", "", "h\nost"])
def test_an_address_that_ssh_would_misread_is_refused(begun: Begun, host: str) -> None:
    """The API's word is foreign text."""
    with pytest.raises(ConnectFailed, match="not an address"):
        words(access(begun, seen=pod(Endpoint(host=host, port=22))))


def test_files_for_the_client_are_private_and_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In memory, or where that cannot be in a folder of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for _ in range(2):
        with readable("key", b"secret") as path:
            assert Path(path).read_bytes() == b"secret"
            assert Path(path).stat().st_mode & 0o777 == 0o600
        assert not Path(path).exists()
        monkeypatch.delattr(os, "memfd_create", raising=False)
    assert list(tmp_path.iterdir()) == []


def test_without_the_cloud_the_journal_knows_the_last_address(begun: Begun) -> None:
    """What was written when the pod was ready."""
    begun.write("pod_ready", pod_id="pod1", host="198.51.100.1", port=40022, duration_sec=1.0)
    assert access(begun, seen=None).endpoint == Endpoint(host="198.51.100.1", port=40022)


def test_the_run_key_is_the_same_on_every_machine(begun: Begun) -> None:
    """From the API key and the salt in the folder."""
    first, second = access(begun).key, access(begun).key
    assert first is not None
    assert second is not None
    assert first.export_public_key() == second.export_public_key()


def test_a_key_of_ones_own_is_the_way_in_where_the_runs_key_is_lost(
    begun: Begun, tmp_path: Path
) -> None:
    """`ssh.key_path`, as after a rotation of the API key; without one it says what is missing."""
    with pytest.raises(InvalidInput, match="nothing here opens the pod") as caught:
        access(begun, api_key=None)
    assert "ssh.key_path" in (caught.value.help or "")
    own = tmp_path / "id_ed25519"
    own.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    begun.plan(ssh={"key_path": str(own)})
    way = access(begun, api_key=None)
    assert (way.key, way.own_key) == (None, own)
    assert access(begun).key is not None


@pytest.mark.parametrize(
    ("seen", "why"),
    [(pod(None, "EXITED"), "no SSH address at the moment: it is EXITED"), (None, "no SSH address")],
)
def test_a_pod_without_an_address_says_how_it_is(begun: Begun, seen: Pod | None, why: str) -> None:
    """Stopped, or never ready."""
    with pytest.raises(ConnectFailed, match=why):
        access(begun, seen=seen)


def test_a_pod_that_nobody_logged_in_to_is_not_trusted(begun: Begun) -> None:
    """The first login of the run enrols the key; nobody else does."""
    (begun.path / "known_hosts").unlink()
    with pytest.raises(ConnectFailed, match="no host key is known"):
        access(begun)


def test_a_run_whose_pod_is_gone_has_no_way_in(begun: Begun) -> None:
    """It says so."""
    begun.gone()
    with pytest.raises(InvalidInput, match="no pod any more"):
        access(begun)


def test_the_project_is_above_its_runs(begun: Begun, tmp_path: Path) -> None:
    """A run folder that was carried elsewhere stands for itself."""
    assert project_root_of(begun.path) == tmp_path
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    assert project_root_of(elsewhere) == elsewhere
