"""Fakes behind the executor's three ports, and the time they share."""

from support.fake_cloud import AfterEffect, FakeCloud, unavailable
from support.fake_pod import FakeConnector, FakeJob, FakeMachine, FakeTransport
from support.virtual_time import EPOCH, FakeClock, Gate, run_virtual

__all__ = [
    "EPOCH",
    "AfterEffect",
    "FakeClock",
    "FakeCloud",
    "FakeConnector",
    "FakeJob",
    "FakeMachine",
    "FakeTransport",
    "Gate",
    "run_virtual",
    "unavailable",
]
