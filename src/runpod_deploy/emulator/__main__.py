"""`python -m runpod_deploy.emulator`: serve in the foreground, or as a daemon."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy.emulator.client import find
from runpod_deploy.emulator.contact import EmulatorInfo
from runpod_deploy.emulator.fault_kinds import KINDS
from runpod_deploy.emulator.options import PROFILES, EmulatorOptions, RateLimits
from runpod_deploy.emulator.place import anchored, place_from

EXIT_FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the emulator; gives the exit status: 0, 1 when it could not start, 2 for bad usage."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    options = read_options(arguments)
    env = anchored(os.environ)
    if arguments.daemon:
        if os.fork():
            # Before any thread exists: the child is the daemon and belongs to nobody.
            os._exit(0)
        os.chdir("/")
    return run(options, env, daemon=arguments.daemon)


def run(options: EmulatorOptions, env: Mapping[str, str], *, daemon: bool) -> int:
    """Take the lock and serve; says on stdout how the start went, in one JSON line for a daemon."""
    import asyncio  # noqa: PLC0415 - everything heavy comes after the fork

    from runpod_deploy.emulator import daemon as life  # noqa: PLC0415 - likewise
    from runpod_deploy.emulator.faults import FaultSyntaxError  # noqa: PLC0415 - likewise
    from runpod_deploy.emulator.ports import PodHostUnavailable  # noqa: PLC0415 - likewise

    place = place_from(env)
    place.make()

    def ready(info: EmulatorInfo) -> None:
        if daemon:
            _say({"ready": info.url})
            _detach_stdout()
        else:
            print(f"{info.url}  (emulator, pid {info.pid}, ends with Ctrl-C)", flush=True)  # noqa: T201 - a program's own output

    try:
        with life.hold_lock(place, lambda: find(env) is not None):
            asyncio.run(life.serve(options, place, env, ready))
    except life.LockedElsewhere:
        if daemon:
            _say({"elsewhere": str(place.contact)})
            return 0
        return _fail(f"an emulator runs already: see {place.contact}", daemon=daemon)
    except (PodHostUnavailable, FaultSyntaxError, life.LockTimeoutError, OSError) as exc:
        return _fail(str(exc), daemon=daemon)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    kinds = "\n".join(f"  {name:18} {kind.effect}" for name, kind in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m runpod_deploy.emulator",
        description="A small RunPod on this machine: REST v2 on loopback, pods as processes.",
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = EmulatorOptions()
    add = parser.add_argument
    add("--daemon", action="store_true", help="leave the terminal; one JSON line on stdout")
    add("--port", type=int, default=0, help="on 127.0.0.1; 0 takes any (default)")
    add(
        "--profile",
        choices=PROFILES,
        default=default.profile,
        help="states as seen or as specified",
    )
    add("--fault", action="append", default=[], metavar="KIND:KEY=VALUE,…", help="may be repeated")
    add("--scenario", type=Path, help="YAML or JSON file with a list of faults")
    add("--billing-speed", type=float, default=1.0, help="billing seconds per real second")
    add("--idle-seconds", type=float, default=default.idle_seconds, help="0: never end by itself")
    add("--ready-polls", type=int, default=default.ready_polls, help="reads until a pod is ready")
    add("--ready-seconds", type=float, default=0.0, help="least time until a pod is ready")
    add("--capacity", type=int, default=default.capacity, help="GPUs per type, place and cloud")
    add("--log-ids", choices=("suffix", "plain"), default="suffix", help="form of log event ids")
    add("--rate-limit", default="", metavar="minute=N,hour=N,day=N", help="requests per window")
    add("--pod-shell", default="", metavar="PROGRAM", help="what is sh inside the pods")
    add("--pods", choices=("isolated", "none"), default="isolated", help="none: API only")
    return parser


def read_options(arguments: argparse.Namespace) -> EmulatorOptions:
    """Turn parsed flags into options."""
    return EmulatorOptions(
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        scenario=arguments.scenario and arguments.scenario.absolute(),
        billing_speed=arguments.billing_speed,
        idle_seconds=arguments.idle_seconds,
        ready_polls=arguments.ready_polls,
        ready_seconds=arguments.ready_seconds,
        capacity=arguments.capacity,
        log_suffix=arguments.log_ids == "suffix",
        rate_limits=_rate_limits(arguments.rate_limit),
        pods=arguments.pods,
        pod_shell=arguments.pod_shell,
        port=arguments.port,
    )


def _rate_limits(text: str) -> RateLimits:
    limits: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if name not in {"minute", "hour", "day"} or not number.isdigit():
            message = f"--rate-limit: expected minute=N,hour=N,day=N, got '{text}'"
            build_parser().error(message)
        limits[name] = int(number)
    return RateLimits(**limits)


def _fail(reason: str, *, daemon: bool) -> int:
    if daemon:
        _say({"error": reason})
    print(f"The emulator cannot start: {reason}", file=sys.stderr, flush=True)  # noqa: T201 - a program's own output
    return EXIT_FAILED


def _say(outcome: dict[str, str]) -> None:
    # Whoever started the daemon may be gone by now; that is no reason to end.
    try:
        print(json.dumps(outcome), flush=True)  # noqa: T201 - the line the client waits for
    except BrokenPipeError:
        _detach_stdout()


def _detach_stdout() -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
