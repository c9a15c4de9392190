"""Opens the account of the chosen cloud for a command that looks after pods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runpod_deploy.cli.target import CloudName, choose_cloud, emulator_target, runpod_target
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.cli.terminal import Terminal
    from runpod_deploy.executor.runpod.account import WholeAccount

T = TypeVar("T")


def with_account(
    cloud: CloudName | None, terminal: Terminal, work: Callable[[WholeAccount], Awaitable[T]]
) -> T:
    """Run `work` on the account and return what it gives.

    Raises:
        AccountError: There is no key, or it was refused.
        CloudError: The API could not be asked.
    """
    import asyncio  # noqa: PLC0415 - not for `--help`, and so not for `plan`

    from runpod_deploy.executor.runpod.account import WholeAccount  # noqa: PLC0415 - not for `--help`

    environ = terminal.environ
    if choose_cloud(cloud, environ) is CloudName.RUNPOD:
        target = runpod_target(environ)
    else:
        target = emulator_target(environ)

    async def whole() -> T:
        account = WholeAccount(target.api_url, target.api_key, target.label)
        try:
            return await work(account)
        finally:
            await account.close()
            if account.unseen is not None:
                terminal.alert(
                    f"warning: clusters cannot be seen, and one may be there and bill: {account.unseen}"
                )

    return asyncio.run(whole())


def known_owner(given: str | None, environ: Mapping[str, str]) -> str:
    """Return whose pods are meant; nobody is made up where nothing is known.

    Raises:
        InvalidInput: This machine has made no pod yet, and nobody was named.
    """
    from runpod_deploy.executor.identity import owner_id  # noqa: PLC0415 - not for `--help`

    if given:
        return owner_id({**environ, "RUNPOD_DEPLOY_OWNER": given})
    home = Path(environ.get("HOME") or Path.home())
    kept = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "runpod-deploy" / "owner"
    if not environ.get("RUNPOD_DEPLOY_OWNER") and not kept.exists():
        raise InvalidInput(
            "whose pods are meant is not known: this machine has made none yet",
            help="Name the owner; the manifest of a run holds it:\n  --owner OWNER",
        )
    return owner_id(environ)
