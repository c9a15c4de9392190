"""Stands for a program forked elsewhere: `warm_front.py SOCKET ENVIRONMENT PROGRAM ARGS`.

Hands over its streams, environment and folder, passes signals on, and ends as the program does.
ENVIRONMENT is what the forking process started with of the variables that only a start reads (JSON).
"""

import json
import os
import signal
import socket
import sys

AT_START = ("LC_", "LANG", "TZ")
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Be the program."""
    place, known, program, *args = sys.argv[1:]
    env = dict(os.environ)
    if {name: text for name, text in env.items() if name.startswith(AT_START)} != json.loads(known):
        os.execv(sys.executable, [sys.executable, "-m", program, *args])
    umask = os.umask(0o022)
    order = {"program": program, "args": args, "env": env, "cwd": os.getcwd(), "umask": umask}  # noqa: PTH109 - pathlib costs more than all of this
    data = json.dumps({**order, "followed": True}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [len(data).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(data)
        told = connection.makefile("rb", buffering=0)
        pid = int(told.readline())
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: os.kill(pid, number))
        status = int(told.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
