"""Lints about network volumes: a shared file system behind FUSE, where some habits hang."""

import re
from collections.abc import Iterator

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.checks.shell_text import ShellText, shell_texts
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.pod_paths import inside, normal
from runpod_deploy.compiler.resolve import Resolved

UV_LINK_MODE = Lint(
    code="uv-link-mode",
    summary="uv would link files on a network volume",
    why="A network volume is MooseFS behind FUSE, and hard links are slow or hang there: `uv sync` "
    "into an environment on the volume may never end.",
    cure="Set it for the commands that call uv:\n  UV_LINK_MODE: copy",
)
UV_CACHE = Lint(
    code="uv-cache-on-volume",
    summary="uv's cache lies on a network volume",
    why="uv locks its cache, and a lock on the volume's file system can hang: uv then stands still "
    "in `git reset --hard`. RunPod's images set `UV_CACHE_DIR` to a folder below /workspace.",
    cure="Keep the cache on the container disk:\n  UV_CACHE_DIR: /root/uv_cache",
)
TRAINER_OUTPUT = Lint(
    code="trainer-output-on-volume",
    summary="Checkpoints are written straight to a network volume",
    why="Saving a checkpoint writes and renames many files at once, and on the volume's file system "
    "that can hang for minutes, or for good, while the GPU waits.",
    cure="Write to the container disk, and copy to the volume what is to stay:\n"
    "  --output_dir /root/out",
)
FLOCK = Lint(
    code="lock-on-volume",
    summary="A file on a network volume is locked",
    why="Locks do not work reliably on the volume's file system: `flock` hangs, or locks nothing.",
    cure="Put the lock file on the container disk, such as below /tmp.",
)
LINTS = (UV_LINK_MODE, UV_CACHE, TRAINER_OUTPUT, FLOCK)

_UV = r"(?<![\w./-])uv\s+(?:-\S+\s+)*(?:sync|pip|run|add|venv|lock|tool|python|build|remove)\b"


def _mount(config: Resolved) -> str | None:
    """Return where the network volume appears, None without one."""
    if config.storage.mode != "network_volume":
        return None
    return normal(config.storage.volume_mount)


def _set_in(text: ShellText, name: str, flag: str) -> str | None:
    """Return the value that the text or its environment gives to a setting of uv."""
    found = re.search(rf"(?:{name}=|{flag}[= ])[\"']?([^\s\"';&|)]+)", text.text)
    return found[1] if found else text.env.get(name)


def uv_on_volume(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Uv neither links nor locks on a network volume.

    An export counts only where it arrives: commands without the job's environment do not see it.
    """
    mount = _mount(config)
    if mount is None:
        return
    for text in shell_texts(config, facts):
        number = _line_of(_UV, text) if "uv" in text.text else None
        if number is None:
            continue
        environment = _set_in(text, "UV_PROJECT_ENVIRONMENT", "--project-environment")
        on_volume = (
            inside(environment, mount)
            if environment is not None
            else mount in text.text or inside(config.run.workdir or "/", mount)
        )
        if on_volume and _set_in(text, "UV_LINK_MODE", "--link-mode") != "copy":
            yield UV_LINK_MODE.at(
                **text.place(number),
                detail=f"{text.told(number)} uv installs below `{mount}`, and `UV_LINK_MODE` is "
                f"not `copy`{_unseen(config, text, 'UV_LINK_MODE')}.",
            )
        cache = _set_in(text, "UV_CACHE_DIR", "--cache-dir")
        if cache is None and _sets_cache(config) and "--no-cache" not in text.text:
            yield UV_CACHE.at(
                **text.place(number),
                detail=f"{text.told(number)} uv runs with the image's own `UV_CACHE_DIR`, which in "
                f"RunPod's images is a folder of /workspace{_unseen(config, text, 'UV_CACHE_DIR')}.",
            )
        elif cache is not None and inside(cache, mount):
            yield UV_CACHE.at(
                **text.place(number),
                detail=f"{text.told(number)} uv keeps its cache in `{cache}`, on the volume.",
            )


def _unseen(config: Resolved, text: ShellText, name: str) -> str:
    """Return the rest of a sentence when an export exists and does not reach a command."""
    if name in config.remote_env.exports and name not in text.env:
        return "; the export does not reach a command without `with_env`"
    return ""


def _sets_cache(config: Resolved) -> bool:
    image = (config.pod.image or "").removeprefix("docker.io/")
    return image.startswith("runpod/") and _mount(config) == "/workspace"


def checkpoints(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Checkpoints are written to the container disk."""
    mount = _mount(config)
    if mount is None:
        return
    for text in shell_texts(config, facts):
        if "output" not in text.text:
            continue
        for number, line in text.lines():
            found = re.search(r"output[_-]dir(?:[= :]|\s)+[\"']?([^\s\"',;)]+)", line)
            if found and inside(found[1], mount):
                yield TRAINER_OUTPUT.at(
                    **text.place(number),
                    detail=f"{text.told(number)} `{found[1]}` is on the volume at `{mount}`.",
                )


def locks(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """No file on the volume is locked."""
    mount = _mount(config)
    if mount is None:
        return
    for text in shell_texts(config, facts):
        if "flock" not in text.text:
            continue
        for number, line in text.lines():
            if re.search(rf"\bflock\b.*{re.escape(mount)}(?:/|\b)", line):
                yield FLOCK.at(
                    **text.place(number),
                    detail=f"{text.told(number)} a file below `{mount}` is locked.",
                )


def _line_of(pattern: str, text: ShellText) -> int | None:
    return next((number for number, line in text.lines() if re.search(pattern, line)), None)


RULES = (uv_on_volume, checkpoints, locks)
