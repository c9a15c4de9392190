"""What several tests with programs of others share."""

import shutil
from collections.abc import Iterator

import pytest

from support.openssh import SSHD, login_by_ssh


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...] | None]:
    """Return how a command is run over a real OpenSSH server; None where there is none."""
    if SSHD is None or shutil.which("ssh") is None:
        yield None
        return
    with login_by_ssh(tmp_path_factory.mktemp("sshd")) as words:
        yield words
