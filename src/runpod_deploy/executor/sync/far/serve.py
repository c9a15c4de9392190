"""The loop on the pod: takes a frame, does what it says, answers, until its input ends."""

from __future__ import annotations

import os

from runpod_deploy.executor.sync.far import giving, packing
from runpod_deploy.executor.sync.far.taking import Taking
from runpod_deploy.executor.sync.far.talk import Failed, Talk


def serve(talk: Talk) -> None:
    """Answer frames until there are no more.

    Raises:
        Failed: One cannot be done.
        OSError: The system refused.
        EOFError: The other side is gone.
    """
    home = os.getcwd()
    taking: Taking | None = None
    talk.answer("ready")
    while True:
        words = talk.line()
        if words is None:
            return
        verb, *rest, last = words
        length = int(last)
        if verb in ("list", "archive", "range", "open"):
            os.chdir(home)
        if verb == "open":
            target, parent, tag, kind = bytes(talk.take(length)).split(b"\0")
            taking = Taking(talk, target, parent, tag, single=kind == b"file")
            talk.answer("ok")
        elif verb == "list":
            giving.tell(talk, bytes(talk.take(length)))
        elif verb == "archive":
            giving.Archive(talk, rest[0]).send(bytes(talk.take(length)))
        elif verb == "range":
            start, size = int(rest[1]), int(rest[2])
            giving.send_range(talk, rest[0], start, size, bytes(talk.take(length)))
        elif taking is None:
            raise Failed(46, "the frames came out of step")
        else:
            _take(talk, taking, verb, rest, length)


def _take(talk: Talk, taking: Taking, verb: str, words: list[str], length: int) -> None:
    if verb == "have":
        taking.have(int(words[0]), talk.take(length))
    elif verb == "files":
        taking.files(packing.expand(words[0], talk.take(length)))
    elif verb == "part":
        taking.part(words[0], words[1], int(words[2]), length)
    elif verb == "blocks":
        talk.take(length)
        taking.blocks(words[0], int(words[1]))
    elif verb == "commit":
        taking.commit(bytes(talk.take(length)))
    else:
        raise Failed(46, "the frames came out of step")


def main() -> int:
    """Serve whoever speaks on standard input; returns the exit status."""
    os.umask(0o022)
    try:
        serve(Talk(0, 1))
    except Failed as error:
        words, status = error.words, error.status
    except BrokenPipeError:
        return 46
    except EOFError:
        words, status = "the frames ended early", 46
    except OSError as error:
        words, status = str(error), 44
    else:
        return 0
    os.write(2, words.encode("utf-8", "surrogateescape") + b"\n")
    return status
