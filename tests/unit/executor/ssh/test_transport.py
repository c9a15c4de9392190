"""What a transport says of a connection that fails in the middle of something."""

import asyncio
from typing import Any, cast

import asyncssh
import pytest

from runpod_deploy.errors import ConnectionLost
from runpod_deploy.executor.ssh.transport import AsyncsshTransport


class Connection:
    """A connection whose commands fail to start as they are told to."""

    def __init__(self, fails_with: Exception) -> None:
        self.fails_with = fails_with

    async def create_process(self, _command: str, **_options: Any) -> None:
        """Fail."""
        raise self.fails_with

    def is_closed(self) -> bool:
        """Return that it is."""
        return True


def start(fails_with: Exception) -> None:
    """Run a command whose start fails."""
    connection = cast("asyncssh.SSHClientConnection", Connection(fails_with))
    asyncio.run(AsyncsshTransport(connection, "192.0.2.1:22").run("true"))


@pytest.mark.parametrize(
    "fails_with",
    [
        OSError("reset by peer"),
        asyncssh.ConnectionLost("gone"),
        asyncssh.ChannelOpenError(1, "connection closed"),
        AttributeError(
            "'NoneType' object has no attribute 'session_started'", name="session_started"
        ),
        AssertionError(),
    ],
)
def test_a_break_while_a_command_starts_is_a_lost_connection(fails_with: Exception) -> None:
    """However asyncssh tells it, the caller learns that the connection is broken and may be made again."""
    with pytest.raises(ConnectionLost, match=r"192\.0\.2\.1:22 is broken"):
        start(fails_with)


def test_a_mistake_of_our_own_is_told_as_it_is() -> None:
    """An attribute that is missing for another reason is no lost connection."""
    with pytest.raises(AttributeError, match="colour"):
        start(AttributeError("no attribute 'colour'", name="colour"))
