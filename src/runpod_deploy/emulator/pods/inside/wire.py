"""Messages on the control socket: one JSON object per packet, descriptors beside it."""

from __future__ import annotations

import array
import json
import socket

PACKET_BYTES = 400 * 1024
"""Longest message; the kernel refuses longer ones on a socket with the default limits."""

_SEND_BUFFER_BYTES = 208 * 1024  # the kernel doubles it
_MAX_DESCRIPTORS = 8

TYPE_CHECKING = False  # `typing` itself costs more to import than PID 1 has time for
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def prepare(sock: socket.socket) -> None:
    """Make room for the longest message on this end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


def send(sock: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message.

    Raises:
        BlockingIOError: The socket is non-blocking and full.
        OSError: The other side is gone, or the message is longer than `PACKET_BYTES`.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    sock.sendmsg(
        [json.dumps(message, separators=(",", ":")).encode()], rights if descriptors else []
    )


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Take one message with its descriptors (closed on exec); None when the other side is gone."""
    data, ancillary, _flags, _address = sock.recvmsg(
        PACKET_BYTES, socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    if not data:
        return None
    return json.loads(data), list(descriptors)
