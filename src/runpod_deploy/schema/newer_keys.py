"""Cures that name a key which the author's file, being of version 2, cannot hold: how to get there."""

import re

_NEWER = re.compile(
    r"\b(?:start_command|max_price_per_hour_usd|accept_loss|on_orphaned|run\.env)\b"
)


def with_way_to_version_3(help: str | None, version: int, file: str) -> str | None:
    """Return the cure, for a file of version 2 with how to write it in version 3 where it has to be.

    Args:
        help: What to do, naming keys of version 3.
        version: The schema version that the file is written in.
        file: The job file as its author named it.
    """
    found = _NEWER.search(help) if help and version == 2 else None
    if found is None:
        return help
    return (
        f"{help}\n\n`{found[0]}` is a key of version 3. Write the file in that version first:\n"
        f"  runpod-deploy migrate {file} -o {file}"
    )
