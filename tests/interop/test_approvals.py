"""Approvals of plans: ours checked by the real ssh-keygen, its checked by us, over whole commands."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import jcs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runpod_deploy.facts import ssh_agent
from runpod_deploy.facts.sshsig import SshSignature, armoured, to_be_signed
from support.command import Bench, wait_until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen"),
]

KINDS = {
    "ed25519": ("-t", "ed25519"),
    "rsa": ("-t", "rsa", "-b", "2048"),
    "ecdsa": ("-t", "ecdsa", "-b", "384"),
}
APPLY = ("apply", "plan.json", "--cloud", "emulator", "--yes")


@dataclass
class Office:
    """A project with a saved plan, and people with keys."""

    bench: Bench

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.bench.project

    def keygen(self, *args: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the real ssh-keygen."""
        return subprocess.run(
            ["ssh-keygen", *args], cwd=self.folder, input=data, capture_output=True, check=False
        )

    def key(self, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        """Make a key pair, outside of the project."""
        file = self.bench.root / name
        self.keygen("-q", *KINDS[kind], "-N", passphrase, "-C", name, "-f", str(file))
        return file

    def allow(self, *names: str, options: str = 'namespaces="runpod-deploy"') -> Path:
        """Write the list of allowed signers."""
        lines = [
            f"{name}@example.org {options} {(self.bench.root / f'{name}.pub').read_text()}"
            for name in names
        ]
        return self.bench.write("allowed", "# who may approve\n\n" + "".join(lines))

    def sign(self, key: Path, *args: str) -> Path:
        """Sign the plan; returns the statement."""
        status, output = self.bench.run("plan", "sign", "plan.json", "--key", str(key), *args)
        assert 0 == status, output
        return self.folder / output.strip().splitlines()[-1]

    def apply(self, needed: int = 1, *args: str) -> tuple[int, str]:
        """Apply the plan if it was approved."""
        flags = ("--require-signature", str(needed), "--allowed-signers", "allowed")
        return self.bench.run(*APPLY, *flags, *args)

    def plan(self) -> None:
        """Save a plan of the job."""
        assert 0 == self.bench.run("plan", "job.yaml", "-o", "plan.json")[0]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A project with a saved plan."""
    bench = Bench(tmp_path)
    office = Office(bench)
    bench.job()
    office.plan()
    yield office
    bench.close()


@pytest.mark.parametrize("kind", KINDS)
def test_our_signatures_hold_for_ssh_keygen(office: Office, kind: str) -> None:
    """`ssh-keygen -Y verify` accepts what `plan sign` writes, for our namespace only."""
    statement = office.sign(office.key("ann", kind))
    office.allow("ann")
    check = ("-Y", "verify", "-f", "allowed", "-I", "ann@example.org", "-s", f"{statement}.sig")

    good = office.keygen(*check, "-n", "runpod-deploy", data=statement.read_bytes())
    assert 0 == good.returncode, good.stderr
    assert 0 != office.keygen(*check, "-n", "git", data=statement.read_bytes()).returncode
    assert 0 != office.keygen(*check, "-n", "runpod-deploy", data=b"other").returncode


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_of_ssh_keygen_hold_for_us(office: Office, kind: str) -> None:
    """Who does not have this tool signs the statement with `ssh-keygen -Y sign`."""
    ann, bob = office.key("ann", kind), office.key("bob")
    statement = office.sign(bob)
    other = statement.with_name("plan.json.approval-ann.json")
    other.write_bytes(statement.read_bytes())
    made = office.keygen("-Y", "sign", "-n", "runpod-deploy", "-f", str(ann), str(other))
    assert 0 == made.returncode, made.stderr
    office.allow("ann")

    status, output = office.apply()
    assert 0 == status, output
    approved = [one for one in office.bench.events() if one["event"] == "plan_approved"]
    assert ["ann@example.org"] == [one["principals"] for one in approved]


def test_as_many_different_keys_are_needed_as_was_said(office: Office) -> None:
    """Two approvals by one key are one; a refused plan is not used up."""
    ann, bob = office.key("ann"), office.key("bob")
    office.allow("ann", "bob")
    assert 6 == office.apply(1)[0]
    office.sign(ann)
    office.sign(ann, "--expires", "2h")
    status, output = office.apply(2)
    assert 6 == status
    assert "2 approvals by different keys" in output
    assert [] == office.bench.runs()

    office.sign(bob)
    status, output = office.apply(2)
    assert 0 == status, output


def test_what_does_not_count_is_refused_with_its_reason(office: Office) -> None:
    """A stranger, another plan, another file of the same plan, another namespace, an expired one."""
    ann, eve = office.key("ann"), office.key("eve")
    office.allow("ann")
    mine = office.sign(eve)
    assert "the key is not in allowed" in refused(office)
    remove(mine)

    statement = office.sign(ann)
    office.plan()
    assert "the plan was made anew" in refused(office)
    office.bench.job(budget={"cost_cap_usd": 3})
    office.plan()
    assert "another plan" in refused(office)
    remove(statement)

    statement = office.sign(ann)
    remove(statement, keep_statement=True)
    assert "No such file" in refused(office)
    office.keygen("-Y", "sign", "-n", "git", "-f", str(ann), str(statement))
    assert "made for 'git'" in refused(office)
    remove(statement)

    statement = office.sign(ann)
    late = json.loads(statement.read_text()) | {"expires": "2020-01-01T00:00:00Z"}
    statement.write_text(json.dumps(late, sort_keys=True, separators=(",", ":")))
    assert "not one over this statement" in refused(office)
    Path(f"{statement}.sig").unlink()
    office.keygen("-Y", "sign", "-n", "runpod-deploy", "-f", str(ann), str(statement))
    assert "it expired at 2020-01-01T00:00:00Z" in refused(office)
    remove(statement)

    office.sign(ann)
    office.allow("ann", options='namespaces="git,file"')
    assert "may sign for git,file only" in refused(office)
    office.allow("ann", options='valid-before="20200101Z"')
    assert "valid-before" in refused(office)
    office.allow("ann")
    status, output = office.apply()
    assert 0 == status, output


def test_a_sweep_is_signed_checked_by_ssh_keygen_and_applied(office: Office) -> None:
    """One statement is over all its plans, and the sweep's journal says whose approval counted."""
    office.bench.job(variables={"seed": "0"}, matrix={"axes": {"seed": ["1", "2"]}})
    office.plan()
    ann = office.key("ann")
    office.allow("ann")
    assert "has none" in refused(office)
    statement = office.sign(ann)
    check = ("-Y", "verify", "-f", "allowed", "-I", "ann@example.org", "-n", "runpod-deploy")
    good = office.keygen(*check, "-s", f"{statement}.sig", data=statement.read_bytes())
    assert 0 == good.returncode, good.stderr
    said = json.loads(statement.read_bytes())
    whole = json.loads((office.folder / "plan.json").read_bytes())
    observed = jcs.canonicalize([one["observed"] for one in whole["shards"]])
    assert jcs.canonicalize(said) == statement.read_bytes()
    assert (whole["plan_hash"], whole["plan_id"]) == (said["plan_hash"], said["plan_id"])
    assert f"sha256:{hashlib.sha256(observed).hexdigest()}" == said["observed_sha256"]

    status, output = office.apply(1, "--only", "seed=2")
    assert 0 == status, output
    (journal,) = office.folder.glob("artifacts/runpod/.sweeps/*/events.jsonl")
    told = [json.loads(one) for one in journal.read_text().splitlines()]
    approved = [one["principals"] for one in told if one["event"] == "plan_approved"]
    assert ["ann@example.org"] == approved


def refused(office: Office) -> str:
    """Return why the plan is refused for lack of approvals."""
    status, output = office.apply()
    assert 6 == status, output
    assert [] == office.bench.runs()
    return output


def remove(statement: Path, *, keep_statement: bool = False) -> None:
    """Take an approval back."""
    Path(f"{statement}.sig").unlink()
    if not keep_statement:
        statement.unlink()


def test_an_encrypted_key_without_a_terminal_is_a_clear_error(office: Office) -> None:
    """Nobody can be asked: the agent is named."""
    key = office.key("ann", passphrase="open sesame")
    status, output = office.bench.run("plan", "sign", "plan.json", "--key", str(key))
    assert 4 == status
    assert f"ssh-add {key}" in output


def test_an_encrypted_key_asks_for_its_passphrase_on_a_terminal(office: Office) -> None:
    """The passphrase is asked for and not shown."""
    key = office.key("ann", passphrase="open sesame")
    with at_terminal(office, "plan", "sign", "plan.json", "--key", str(key)) as (process, leader):
        shown = read_until(leader, b"assphrase")
        os.write(leader, b"open sesame\n")
        shown += read_until(leader, b".json")
        assert 0 == process.wait(60)
    assert b"open sesame" not in shown
    office.allow("ann")
    status, output = office.apply()
    assert 0 == status, output


def test_a_wrong_passphrase_is_a_clear_error(office: Office) -> None:
    """What OpenSSH says about it is said on."""
    key = office.key("ann", passphrase="open sesame")
    with at_terminal(office, "plan", "sign", "plan.json", "--key", str(key)) as (process, leader):
        read_until(leader, b"assphrase")
        os.write(leader, b"open barley\n")
        shown = read_until(leader, b"incorrect passphrase")
        assert 4 == process.wait(60)
    assert b"did not sign" in shown
    assert [] == list(office.folder.glob("plan.json.approval-*"))


@contextmanager
def at_terminal(office: Office, *args: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command at a terminal of its own; yields it and the terminal's other side."""
    leader, follower = pty.openpty()
    # The first terminal that a session opens is the one it is controlled from.
    opened = ("sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(follower))
    process = subprocess.Popen(
        [*opened, sys.executable, "-m", "runpod_deploy", *args],
        cwd=office.folder,
        env=office.bench.env,
        start_new_session=True,
    )
    try:
        yield process, leader
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        os.close(follower)
        os.close(leader)


def read_until(descriptor: int, text: bytes) -> bytes:
    """Read from a terminal until it has shown `text`."""
    shown = b""
    limit = time.monotonic() + 60
    while text not in shown:
        left = limit - time.monotonic()
        assert left > 0, shown
        if select.select([descriptor], [], [], left)[0]:
            shown += os.read(descriptor, 4096)
    return shown


def test_a_key_that_the_agent_holds_signs(office: Office) -> None:
    """The file may be gone, and its passphrase with it; the public half says which key."""
    ann, bob = office.key("ann", "rsa"), office.key("bob")
    place = office.bench.root / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        wait_until(place.exists)
        env = {**os.environ, "SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", str(ann)], env=env, check=True)
        ann.unlink()
        office.bench.extra["SSH_AUTH_SOCK"] = str(place)
        office.allow("ann")
        status, output = office.bench.run("plan", "sign", "plan.json")
        assert 0 == status, output
        assert "the agent's key SHA256:" in output
        assert 0 == office.bench.run("plan", "sign", "plan.json", "--key", "agent")[0]

        subprocess.run(["ssh-add", "-q", str(bob)], env=env, check=True)
        status, output = office.bench.run("plan", "sign", "plan.json")
        assert 4 == status
        assert "holds 2 keys" in output
        assert 4 == office.bench.run("plan", "sign", "plan.json", "--key", "agent")[0]
        office.sign(Path(f"{ann}.pub"))
        status, output = office.apply()
        assert 0 == status, output
    finally:
        agent.terminate()
        agent.wait(30)


def test_no_agent_is_a_clear_error(office: Office) -> None:
    """Asked for by name it must be there, and it must answer."""
    status, output = office.bench.run("plan", "sign", "plan.json", "--key", "agent")
    assert 4 == status
    assert "SSH_AUTH_SOCK is not set" in output
    office.bench.extra["SSH_AUTH_SOCK"] = str(office.bench.root / "nobody")
    status, output = office.bench.run("plan", "sign", "plan.json", "--key", "agent")
    assert 4 == status
    assert "--key agent: the SSH agent says" in output


def test_an_agent_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and is silent: that is an end, not a hang."""
    monkeypatch.setattr(ssh_agent, "LIST_SECONDS", 0.2)
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(ssh_agent.AgentProblem, match="gave no answer within"):
            ssh_agent.held_keys({"SSH_AUTH_SOCK": path})


def test_the_statement_is_canonical_json_about_the_file(office: Office) -> None:
    """What another RFC 8785 implementation makes of the plan file is what was signed."""
    statement = office.sign(office.key("ann"), "--expires", "never")
    plan = json.loads((office.folder / "plan.json").read_text())
    expected = {
        "type": "runpod-deploy.approval/1",
        "plan_hash": plan["plan_hash"],
        "plan_id": plan["plan_id"],
        "observed_sha256": f"sha256:{hashlib.sha256(jcs.canonicalize(plan['observed'])).hexdigest()}",
        "expires": None,
    }
    assert jcs.canonicalize(expected) == statement.read_bytes()


def test_what_was_approved_cannot_be_allowed_away(office: Office) -> None:
    """Other files, another image or a higher price are not what the signature is under."""
    office.sign(office.key("ann"))
    office.allow("ann")
    for part in ("payload", "image", "price"):
        status, output = office.apply(1, "--allow", part)
        assert 4 == status
        assert f"--allow {part}" in output
    assert [] == office.bench.runs()


def test_a_security_key_counts_when_somebody_touched_it(office: Office) -> None:
    """The signature of a security key, made by hand after PROTOCOL.u2f, holds there and here."""
    statement = office.sign(office.key("bob"))
    other = statement.with_name("plan.json.approval-token.json")
    other.write_bytes(statement.read_bytes())
    token = SecurityKey()
    office.bench.write("allowed", token.signer("ann@example.org"))
    check = ("-Y", "verify", "-f", "allowed", "-I", "ann@example.org", "-n", "runpod-deploy")

    Path(f"{other}.sig").write_text(token.sign(other.read_bytes(), touched=False))
    assert "nobody touched the security key" in refused(office)
    Path(f"{other}.sig").write_text(token.sign(other.read_bytes(), touched=True))
    made = office.keygen(*check, "-s", f"{other}.sig", data=other.read_bytes())
    assert 0 == made.returncode, made.stderr
    status, output = office.apply()
    assert 0 == status, output


class SecurityKey:
    """What a FIDO token does: an ed25519 key that signs who asked, a flag, a counter, and a digest."""

    kind = b"sk-ssh-ed25519@openssh.com"

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes_raw()
        self.public = ssh_strings(self.kind, public, b"ssh:")

    def signer(self, principal: str) -> str:
        """Return its line of `allowed_signers`."""
        return f"{principal} {self.kind.decode()} {base64.b64encode(self.public).decode()}\n"

    def sign(self, message: bytes, *, touched: bool) -> str:
        """Return an armoured signature."""
        after = struct.pack(">BI", int(touched), 7)
        digest = hashlib.sha256(to_be_signed(message, "runpod-deploy")).digest()
        raw = self.key.sign(hashlib.sha256(b"ssh:").digest() + after + digest)
        return armoured(
            SshSignature(
                public_key=self.public,
                namespace="runpod-deploy",
                hash_name="sha512",
                signature=ssh_strings(self.kind, raw) + after,
            )
        )


def ssh_strings(*parts: bytes) -> bytes:
    """Return strings as SSH encodes them."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)
