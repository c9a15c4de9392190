"""Starter jobs: what `init` writes, one folder per template beside what all of them share."""

from pathlib import Path

_FOLDER = Path(__file__).parent
_COMMON = _FOLDER / "common"
# A name that begins with a dot would be hidden from whoever looks for it here.
_WRITTEN_AS = {"runpodignore": ".runpodignore"}

STARTERS: tuple[str, ...] = tuple(
    sorted(path.parent.name for path in _FOLDER.glob("*/job.yaml") if path.is_file())
)
"""The templates that there are."""


def starter_files(name: str) -> dict[str, bytes]:
    """Return the files of the template `name`: path below the project to content.

    Raises:
        KeyError: There is no such template; `STARTERS` lists them.
    """
    if name not in STARTERS:
        raise KeyError(name)
    found = {path.name: path for folder in (_COMMON, _FOLDER / name) for path in folder.iterdir()}
    return {
        _WRITTEN_AS.get(file, file): path.read_bytes()
        for file, path in sorted(found.items())
        if path.is_file()
    }
