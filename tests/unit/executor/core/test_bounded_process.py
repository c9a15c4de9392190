"""What is kept of a program that prints more than anybody wants."""

from __future__ import annotations

from runpod_deploy.executor.bounded_process import MOST_COMPLAINT, Listener


def test_as_much_as_is_wanted_is_kept_and_not_one_byte_more_than_tells_it() -> None:
    """However much comes, one byte beyond the bound is kept, and the program is over from there on."""
    listener = Listener(most=10)
    listener.pipe_data_received(1, b"x" * 10)
    assert (False, False) == (listener.too_much, listener.over.is_set())
    for _ in range(1000):
        listener.pipe_data_received(1, b"y" * 65_536)

    assert (True, True) == (listener.too_much, listener.over.is_set())
    assert b"x" * 10 + b"y" == bytes(listener.out)


def test_a_complaint_without_end_ends_nothing() -> None:
    """Of standard error the beginning is kept; it is no reason to end a program."""
    listener = Listener(most=10)
    for _ in range(10):
        listener.pipe_data_received(2, b"e" * MOST_COMPLAINT)

    assert MOST_COMPLAINT == len(listener.err)
    assert not listener.over.is_set()


def test_a_program_that_has_ended_may_leave_its_pipes_to_others() -> None:
    """Its own end is told before the end of all that it began."""
    listener = Listener(most=10)
    listener.process_exited()
    assert (True, False) == (listener.over.is_set(), listener.closed.is_set())

    listener.connection_lost(None)
    assert listener.closed.is_set()
