"""`ssh`: a shell on the pod of a run, or one command there, by OpenSSH's own client."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import Node, Quiet, Verbose
from runpod_deploy.cli.history import Root
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import AccountError, CloudError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection

    from runpod_deploy.executor.pod_access import PodAccess
    from runpod_deploy.executor.ports import Pod
    from runpod_deploy.executor.run import Target
    from runpod_deploy.forensics.status import RunStatus


def ssh_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run folder, a run id, or `last`, which is the default.",
            show_default=False,
        ),
    ] = "last",
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CMD",
            help="What to run there, after `--`: one word is a line for the pod's shell, several are "
            "taken as they are.",
            show_default=False,
        ),
    ] = None,
    node: Node = 0,
    root: Root = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Log in to the pod of a run with the run's own key and its pinned host key.

    The exit status is that of the command; 255 when ssh itself failed.
    """
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.status import read_status  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    client = _client()
    status = read_status(find_run(run, root if root is not None else Path()), time.time())
    access = way_in(status, terminal, node)
    from runpod_deploy.executor.ssh.openssh import run_openssh  # noqa: PLC0415 - only for a login

    if not command:
        terminal.say(
            f"This is pod {access.pod.pod_id} of {status.run_id}; its run does not wait for you."
        )
    line = None if not command else command[0] if len(command) == 1 else shlex.join(command)
    on_terminal = line is not None and sys.stdin.isatty() and sys.stdout.isatty()
    return run_openssh(client, access, line, terminal=on_terminal)


def _client() -> str:
    import shutil  # noqa: PLC0415 - not for `--help`

    found = shutil.which("ssh")
    if found is None:
        raise InvalidInput(
            "there is no program `ssh` on this machine",
            help="Install OpenSSH's client; it is called openssh-client or openssh-clients.",
        )
    return found


def way_in(status: RunStatus, terminal: Terminal, node: int = 0) -> PodAccess:
    """Return the way into the pod of a run, or into a node of its cluster.

    Raises:
        InvalidInput: It has no pod or no such node, or nothing here opens it.
        AccountError: There is no API key to ask with.
        CloudError: The cloud cannot be asked, or the pod has no address.
    """
    from runpod_deploy.cli.run_cloud import target_of  # noqa: PLC0415 - only for a login
    from runpod_deploy.executor.pod_access import access_to  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.status import names_alone, plan_of  # noqa: PLC0415 - likewise
    from runpod_deploy.record.nodes import pod_of_node  # noqa: PLC0415 - likewise

    plan_file = plan_of(status.folder)
    if plan_file is None:
        raise InvalidInput(f"the plan in {status.folder} cannot be read, and with it the way in")
    pod = status.run.pod
    if pod is None or pod.pod_id is None or pod.status == "gone":
        over = "" if pod is None else " any more"
        raise InvalidInput(f"run {status.run_id or status.folder.name} has no pod{over}")
    pod_id = pod_of_node(status.folder, node) if node else pod.pod_id
    api_key, seen = None, None
    try:
        target = target_of(status.run, terminal.environ)
        api_key = target.api_key
        seen = _look(target, pod_id, alone=names_alone(status))
    except (AccountError, CloudError) as error:
        if plan_file.plan.pod.ssh_key_path is None:
            raise
        # A key of one's own gets in without the account's; the journal knows the last address.
        terminal.say(f"The cloud cannot be asked for the pod's address ({error.message}).")
    else:
        if seen is None:
            raise InvalidInput(f"pod {pod_id} is gone")
    pod = replace(pod, pod_id=pod_id)
    return access_to(status.folder, plan_file, pod, api_key=api_key, seen=seen)


def _look(target: Target, pod_id: str, *, alone: Collection[str]) -> Pod | None:
    import asyncio  # noqa: PLC0415 - only for a login

    from runpod_deploy.executor.runpod.account import WholeAccount  # noqa: PLC0415 - likewise

    async def look() -> Pod | None:
        cloud = WholeAccount(target.api_url, target.api_key, target.label)
        cloud.standing_alone(*alone)
        try:
            return await cloud.get(pod_id)
        finally:
            await cloud.close()

    return asyncio.run(look())
