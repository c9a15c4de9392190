"""Runs a Pulumi program under the SDK's mocks, in a process of its own, and tells what it made.

Pulumi keeps global state and leaves event loops open, so it is not run inside of a test's process.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")


def run_program(
    folder: Path,
    text: str | None = None,
    outs: dict[str, dict[str, Any]] | None = None,
    config: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Run `__main__.py` of a folder, or `text` as such; outputs are those of `outs`, by resource.

    Returns:
        `made`: resource name to its type, inputs and the names of secret ones; `exports`: what the
        program exports, resolved, a secret as `[secret]`.
    """
    if text is not None:
        (folder / "__main__.py").write_text(text)
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    asked = json.dumps({"outs": outs or {}, "config": config or {}})
    done = subprocess.run(
        [sys.executable, __file__, asked],
        cwd=folder,
        env={**kept, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _main() -> None:
    import pulumi  # noqa: PLC0415 - only in the process of its own

    asked = json.loads(sys.argv[1])
    made: dict[str, dict[str, Any]] = {}
    exports: dict[str, Any] = {}

    class Cloud(pulumi.runtime.Mocks):
        def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
            made[args.name] = {"type": args.typ, "inputs": args.inputs}
            return f"{args.name}-id", {**args.inputs, **asked["outs"].get(args.name, {})}

        def call(self, _args: Any) -> dict[str, Any]:
            return {}

    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(
        Cloud(), project="project", stack="dev", preview=False, organization="organization"
    )
    pulumi.runtime.set_all_config(asked["config"])

    def export(name: str, value: Any) -> None:
        given = pulumi.Output.from_input(value)
        secret = pulumi.Output.from_input(given.is_secret())

        def keep(both: Any) -> None:
            exports[name] = "[secret]" if both[1] else both[0]

        given.apply(lambda _value: None)
        pulumi.Output.all(given, secret).apply(keep)

    pulumi.export = export

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path("__main__.py", run_name="__main__")

    program()
    print(json.dumps({"made": made, "exports": exports}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    _main()
