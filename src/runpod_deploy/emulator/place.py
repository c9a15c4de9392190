"""Where an emulator keeps its lock, its contact file, its log and its state."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OVERRIDE = "RUNPOD_DEPLOY_EMULATOR_DIR"
_NAME = "runpod-deploy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The files of one emulator; `runtime` and `state` may be the same folder's parts."""

    runtime: Path
    state: Path

    @property
    def contact(self) -> Path:
        """Tells clients where the daemon listens and with which key."""
        return self.runtime / "emulator.json"

    @property
    def lock(self) -> Path:
        """Held by the daemon for as long as it lives; where the state is, it protects."""
        return self.state / "emulator.lock"

    @property
    def log(self) -> Path:
        """What the daemon prints."""
        return self.state / "emulator.log"

    def make(self) -> None:
        """Create both folders, for this user alone."""
        for folder in (self.runtime, self.state):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid():
                folder.chmod(0o700)


def anchored(env: Mapping[str, str]) -> dict[str, str]:
    """Copy an environment, its relative override made absolute: daemons change folder."""
    override = env.get(OVERRIDE)
    return dict(env) | ({OVERRIDE: str(Path(override).absolute())} if override else {})


def place_from(env: Mapping[str, str]) -> Place:
    """Work out the place from RUNPOD_DEPLOY_EMULATOR_DIR or the XDG folders."""
    if override := env.get(OVERRIDE):
        folder = Path(override).absolute()
        return Place(runtime=folder, state=folder / "state")
    state_home = env.get("XDG_STATE_HOME")
    states = Path(state_home) if state_home else _home(env) / ".local" / "state"
    base = states / _NAME
    runtime = env.get("XDG_RUNTIME_DIR")
    usable = bool(runtime) and Path(runtime or "").is_dir()
    return Place(
        runtime=Path(runtime or "") / _NAME if usable else base / "run", state=base / "emulator"
    )


def _home(env: Mapping[str, str]) -> Path:
    home = env.get("HOME")
    return Path(home) if home else Path.home()
