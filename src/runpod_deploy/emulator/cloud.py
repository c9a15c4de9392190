"""The emulated cloud: everything behind the HTTP side, put together."""

import secrets
import time
from pathlib import Path

from runpod_deploy.emulator.catalog import load_catalog
from runpod_deploy.emulator.clock import BillingClock
from runpod_deploy.emulator.clusters import Clusters
from runpod_deploy.emulator.faults import FaultBoard, parse_fault
from runpod_deploy.emulator.fleet import Fleet
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.ports import PodHost
from runpod_deploy.emulator.ratelimit import RateLimiter
from runpod_deploy.emulator.request_log import RequestLog
from runpod_deploy.emulator.scenario import Scenario, load_scenario
from runpod_deploy.emulator.stock import Stock
from runpod_deploy.emulator.store import Store


class EmulatedCloud:
    """One account of one emulated RunPod; lives on one event loop.

    Args:
        options: As given at start; faults and scenario are read here.
        state_dir: Owned by this cloud alone.
        host: Builds the pods.
        api_key: The account's key; a random one when empty.

    Raises:
        FaultSyntaxError: A fault or the scenario file cannot be understood.
    """

    def __init__(
        self, options: EmulatorOptions, state_dir: Path, host: PodHost, api_key: str = ""
    ) -> None:
        self.options = options
        self.state_dir = state_dir
        self.host = host
        self.api_key = api_key or new_api_key()
        self.started_at = time.time()
        scenario = load_scenario(options.scenario) if options.scenario else Scenario(faults=())
        # A flag that was given wins over the file.
        speed = options.billing_speed if options.billing_speed != 1 else scenario.billing_speed
        self.clock = BillingClock(speed=speed or 1.0)
        self.catalog = load_catalog()
        faults = [*map(parse_fault, options.faults), *scenario.faults]
        self.board = FaultBoard(faults, self.clock.now)
        self.store = Store(state_dir, self.clock)
        self.stock = Stock(self.catalog, self.board, options.capacity)
        self.limiter = RateLimiter(options.rate_limits)
        self.requests = RequestLog()
        self.last_seen = time.monotonic()
        self.fleet = Fleet(
            catalog=self.catalog,
            options=options,
            board=self.board,
            stock=self.stock,
            store=self.store,
            clock=self.clock,
            host=host,
        )
        self.clusters = Clusters(self.fleet, self.board)

    def seen(self) -> None:
        """Note that a client was here: the emulator stays for another while."""
        self.last_seen = time.monotonic()

    async def close(self) -> None:
        """Take down every pod."""
        await self.fleet.close()
        await self.host.close()


def new_api_key() -> str:
    """Make up an account key in RunPod's form."""
    return "rpa_" + secrets.token_hex(24).upper()
