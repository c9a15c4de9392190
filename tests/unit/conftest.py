"""Unit tests reach no network, start no program and do not wait: whoever tries is told."""

import socket
import subprocess
import time
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_outside_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make connections, programs and real sleeping raise."""

    def refuse(what: str) -> object:
        def raise_it(*_args: object, **_kwargs: object) -> NoReturn:
            raise AssertionError(f"a unit test must not {what}")

        return raise_it

    monkeypatch.setattr(socket.socket, "connect", refuse("connect to the network"))
    monkeypatch.setattr(socket.socket, "connect_ex", refuse("connect to the network"))
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse("start a program"))
    monkeypatch.setattr(time, "sleep", refuse("sleep"))
