"""`emulator up|down|status|pods`: the small RunPod on this machine."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose, examples
from runpod_deploy.cli.lean import LeanCommand
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import RunpodDeployError

commands = typer.Typer(
    help="A small RunPod on this machine, to rehearse on for nothing.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Profile(StrEnum):
    """Which life of a pod is played."""

    LIVE = "live"
    SPEC = "spec"


@contextmanager
def explained() -> Iterator[None]:
    """Turn the emulator's error into one of ours; it may not import them."""
    from runpod_deploy.emulator.client import EmulatorError  # noqa: PLC0415 - starts processes

    try:
        yield
    except EmulatorError as error:
        raise RunpodDeployError(str(error)) from error


@commands.command(
    "up",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy emulator up",
        "runpod-deploy emulator up --fault stock-out:gpu='NVIDIA L4'",
    ),
)
def up(
    profile: Annotated[
        Profile, typer.Option("--profile", help="Pod states as seen live, or as specified.")
    ] = Profile.LIVE,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND:KEY=VALUE,…",
            help="Let something go wrong, such as stock-out or delete-fails; repeatable.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario", metavar="FILE", help="More faults, as YAML or JSON.", show_default=False
        ),
    ] = None,
    idle_seconds: Annotated[
        float,
        typer.Option("--idle-seconds", help="End after so long without pods; 0 never ends.", min=0),
    ] = 60.0,
    billing_speed: Annotated[
        float, typer.Option("--billing-speed", help="Seconds billed per real second.", min=0)
    ] = 1.0,
    ready_polls: Annotated[
        int, typer.Option("--ready-polls", help="Reads of a pod until it is ready.", min=0)
    ] = 1,
    ready_seconds: Annotated[
        float, typer.Option("--ready-seconds", help="Least time until a pod is ready.", min=0)
    ] = 0.0,
    capacity: Annotated[
        int, typer.Option("--capacity", help="GPUs of each type in each place.", min=0)
    ] = 1024,
    port: Annotated[
        int, typer.Option("--port", help="On 127.0.0.1; 0 takes any.", min=0, max=65535)
    ] = 0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Start the emulator, or find the one that runs."""
    from runpod_deploy.emulator import client  # noqa: PLC0415 - only when asked for

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    options = client.EmulatorOptions(
        profile=profile.value,
        faults=tuple(fault or ()),
        scenario=scenario,
        idle_seconds=idle_seconds,
        billing_speed=billing_speed,
        ready_polls=ready_polls,
        ready_seconds=ready_seconds,
        capacity=capacity,
        port=port,
    )
    with explained():
        running = client.find(os.environ)
        info = running or client.ensure_running(os.environ, options=options)
    terminal.print(info.url if terminal.quiet else _how_to_use(info.url, info.api_key))
    if not running and idle_seconds:
        terminal.say(f"\nIt ends by itself after {idle_seconds:g} s without pods and clients.")
    if running and options != client.EmulatorOptions():
        terminal.alert(
            f"{terminal.err.warn('warning:')} an emulator was running already and stays as it is; "
            "to start it with other flags:\n  runpod-deploy emulator down"
        )


def _how_to_use(url: str, api_key: str) -> str:
    return (
        f"The emulator answers at {url}. It is not RunPod, and nothing is billed.\n"
        "\n"
        "  runpod-deploy apply JOB.yaml --cloud emulator\n"
        "\n"
        "For other programs that speak RunPod's REST API:\n"
        "\n"
        f"  export RUNPOD_API_URL={url}\n"
        f"  export RUNPOD_API_KEY={api_key}"
    )


@commands.command("down", cls=LeanCommand)
def down(verbose: Verbose = False, quiet: Quiet = False) -> None:
    """End the emulator, and every pod in it."""
    from runpod_deploy.emulator import client  # noqa: PLC0415 - only when asked for

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    with explained():
        ended = client.stop(os.environ)
    terminal.say("The emulator has ended." if ended else "No emulator is running.")


@commands.command("status", cls=LeanCommand)
def status(as_json: AsJson = False, verbose: Verbose = False, quiet: Quiet = False) -> None:
    """Say whether an emulator runs, and how it is set."""
    from runpod_deploy.emulator import client  # noqa: PLC0415 - only when asked for

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    with explained():
        found = client.status(os.environ)
    if as_json:
        terminal.document(found)
    elif found["running"]:
        terminal.print("\n".join(_status_lines(found, terminal)))
    else:
        terminal.print("No emulator is running.")


def _status_lines(found: Mapping[str, Any], terminal: Terminal) -> list[str]:
    from runpod_deploy.cli.amounts import duration  # noqa: PLC0415 - only for people
    from runpod_deploy.cli.layout import Row, labelled  # noqa: PLC0415 - likewise

    idle = found["idle_seconds"]
    rows = [
        Row(label="url", text=found["url"]),
        Row(label="pid", text=str(found["pid"])),
        Row(label="up for", text=duration(found["uptime"])),
        Row(label="pods", text=str(found["pods"])),
        Row(label="profile", text=found["profile"]),
        Row(label="pods are", text=found["pod_host"]),
        Row(label="ends", text=f"after {idle:g} s without pods" if idle else "only when told to"),
        Row(label="state", text=found["state_dir"]),
        Row(label="faults", text="\n".join(map(_fault, found["faults"])) or "none"),
    ]
    return labelled(rows, terminal.out, terminal.width)


def _fault(fault: Mapping[str, Any]) -> str:
    settings = {**fault["match"], **fault["params"]}
    times = fault["times"]
    left = "always" if times is None else f"{times} more"
    return "  ".join([fault["kind"], *(f"{k}={v}" for k, v in settings.items()), left])


@commands.command("pods", cls=LeanCommand)
def pods(as_json: AsJson = False, verbose: Verbose = False, quiet: Quiet = False) -> None:
    """List the pods that exist in the emulator."""
    from runpod_deploy.emulator import client  # noqa: PLC0415 - only when asked for

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    with explained():
        found = client.list_pods(os.environ)
    if as_json:
        terminal.document({"pods": [_without_env(pod) for pod in found]})
    elif found:
        terminal.print("\n".join(_pod_table(found, terminal)))
    else:
        terminal.print("no pods")


def _pod_table(found: list[dict[str, Any]], terminal: Terminal) -> list[str]:
    from runpod_deploy.cli.amounts import usd  # noqa: PLC0415 - only for people
    from runpod_deploy.cli.layout import table  # noqa: PLC0415 - likewise

    rows = [
        [
            str(pod["id"]),
            str(pod["status"]),
            str((pod.get("gpu") or {}).get("id", "")),
            str(pod.get("dataCenterId") or ""),
            f"{usd(pod['cost'])}/h",
            str(pod["name"]),
        ]
        for pod in found
    ]
    head = ["pod", "status", "GPU", "place", "cost", "name"]
    return table(rows, terminal.out, head=head, right="....r")


def _without_env(pod: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pod.items() if key != "env"}
