"""The life of the emulator's process: one at a time, found by a file, gone when not needed."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from runpod_deploy.emulator.api.app import build_app
from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.cloud import EmulatedCloud, new_api_key
from runpod_deploy.emulator.contact import EmulatorInfo, write_contact
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.place import Place
from runpod_deploy.emulator.ports import PodHost
from runpod_deploy.emulator.version import emulator_version

TICK_SECONDS = 0.25
LOCK_SECONDS = 20.0
DRAIN_SECONDS = 1
KEEP_ALIVE_SECONDS = 75

OnReady = Callable[[EmulatorInfo], None]


class LockedElsewhere(Exception):
    """Another emulator has this place and answers."""


class LockTimeoutError(Exception):
    """Another process has the lock and neither serves nor ends."""


@contextlib.contextmanager
def hold_lock(place: Place, answers: Callable[[], bool]) -> Iterator[None]:
    """Own the place for as long as the block runs.

    Args:
        place: Its lock file is used.
        answers: Says whether the other owner serves clients.

    Raises:
        LockedElsewhere: It does.
        LockTimeoutError: It neither does nor ends in 20 seconds.
    """
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor):
            if answers():
                raise LockedElsewhere
            if time.monotonic() > deadline:
                raise LockTimeoutError(f"another process holds {place.lock} and does not answer")
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def serve(
    options: EmulatorOptions, place: Place, env: Mapping[str, str], on_ready: OnReady
) -> None:
    """Serve until a signal, an idle while or a client's wish ends it; the lock is the caller's.

    Raises:
        PodHostUnavailable: No way to isolate pods here.
        FaultSyntaxError: A fault or the scenario cannot be understood.
        OSError: The port is taken.
    """
    key = given_key(env) or new_api_key()
    with listen_on(options.port) as listener:
        host = await open_host(options, place.state)
        cloud = EmulatedCloud(options, place.state, host, key)
        server = Server(cloud, listener)
        info = EmulatorInfo(
            url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            api_key=key,
            pid=os.getpid(),
            version=emulator_version(),
            started_at=rfc3339(cloud.started_at, micros=True),
            state_dir=str(place.state),
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, server.finish)
        try:
            await server.run(
                on_started=lambda: _announce(place.contact, info, on_ready),
                on_ending=lambda: place.contact.unlink(missing_ok=True),
                on_tick=lambda: _stay_findable(place, info),
            )
        finally:
            await cloud.close()


def given_key(env: Mapping[str, str]) -> str | None:
    """Return RUNPOD_API_KEY without the blanks that copying adds; None for what no header can carry."""
    key = env.get("RUNPOD_API_KEY", "").strip()
    return key if key.isascii() and key.isprintable() and " " not in key and key else None


async def open_host(options: EmulatorOptions, state_dir: Path) -> PodHost:
    """Open the pod host that the options name.

    Raises:
        PodHostUnavailable: No way to isolate pods here.
    """
    if options.pods == "none":
        from runpod_deploy.emulator.hollow import HollowHost  # noqa: PLC0415 - rarely wanted

        return HollowHost()
    from runpod_deploy.emulator.pods import open_pod_host  # noqa: PLC0415 - brings asyncssh

    return await open_pod_host(state_dir)


@dataclass(slots=True)
class Server:
    """The HTTP server round one cloud, and the decision when to end."""

    cloud: EmulatedCloud
    listener: socket.socket
    _http: "QuietServer | None" = None

    def finish(self) -> None:
        """End: no new requests, then the open ones, then the pods."""
        if self._http is not None:
            self._http.should_exit = True
        for tenant in self.cloud.fleet.tenants.values():
            tenant.logs.close()

    async def run(
        self,
        on_started: Callable[[], None],
        on_ending: Callable[[], None] = lambda: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until `finish`; `on_ending` comes while the listener still stands."""
        config = uvicorn.Config(
            build_app(self.cloud, self.finish),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._http = QuietServer(config, on_started, on_ending)
        watch = asyncio.create_task(self._watch(self._http, on_tick))
        try:
            await self._http.serve(sockets=[self.listener])
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self, http: "QuietServer", on_tick: Callable[[], None]) -> None:
        limit = self.cloud.options.idle_seconds
        while True:
            await asyncio.sleep(min(TICK_SECONDS, limit / 4) if limit else TICK_SECONDS)
            if http.should_exit:
                return
            try:
                self.cloud.store.mark_alive()
                on_tick()
            except OSError:
                # The state folder was taken away: nobody can use or find this emulator.
                self.finish()
            if self.cloud.fleet.tenants or http.server_state.connections:
                self.cloud.seen()
            elif limit and time.monotonic() - self.cloud.last_seen > limit:
                self.finish()


class QuietServer(uvicorn.Server):
    """Uvicorn without its signal handlers: the daemon has its own."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        on_ending: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_ending = on_ending

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, then tell the owner."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the owner, then close down."""
        self._on_ending()
        await super().shutdown(sockets)


def listen_on(port: int) -> socket.socket:
    """Listen on loopback; port 0 takes any.

    Raises:
        OSError: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


def _announce(contact: Path, info: EmulatorInfo, on_ready: OnReady) -> None:
    write_contact(contact, info)
    on_ready(info)


def _stay_findable(place: Place, info: EmulatorInfo) -> None:
    # The runtime folder goes away at logout, and this process does not.
    if not place.contact.exists():
        place.make()
        write_contact(place.contact, info)
