"""Decides what a pod's root looks like on this machine."""

import os
import pwd
import shutil
import sys
from pathlib import Path

from runpod_deploy.emulator.pods.blueprint import Blueprint, FileText, Folder
from runpod_deploy.emulator.pods.fast_time import shims
from runpod_deploy.emulator.pods.nvidia_smi import script
from runpod_deploy.emulator.ports import PodSpec

STUB_FOLDER = "/.pod/bin"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PROGRAM_FOLDERS = (
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32",
    "nix", "opt", "sbin", "snap", "usr", "var",
)  # fmt: skip
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_FIRST_LOGIN_UID = 1000
_NO_LOGIN_UID = 65534
_HALF_OF_MEMORY = 2
_START_SCRIPT = """\
#!/bin/sh
# Stands in for the start script of RunPod's official images.
echo "Pod Started"
echo "Start script(s) finished, Pod is ready to use."
exec sleep infinity
"""


def login_shell() -> str:
    """Give the shell of the pod's root user."""
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"


def login_environment() -> dict[str, str]:
    """Give what every SSH session starts with; nothing of the pod's environment."""
    return {
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": login_shell(),
        "PATH": f"{STUB_FOLDER}:{_SYSTEM_PATH}",
    }


def container_environment(spec: PodSpec) -> dict[str, str]:
    """Give the environment of PID 1: the pod's own, and what every container has."""
    path = spec.env.get("PATH", _SYSTEM_PATH)
    common = {"HOME": "/root", "HOSTNAME": spec.pod_id}
    fast = {f"RD_{name.upper()}": f"{STUB_FOLDER}/{name}" for name in shims(spec.clock)}
    return {**common, **fast, **spec.env, "PATH": f"{STUB_FOLDER}:{path}"}


def draw(spec: PodSpec, *, state_dir: Path, scratch: Path, user_namespace: bool) -> Blueprint:
    """Draw the blueprint of one pod.

    Args:
        spec: The pod.
        state_dir: The emulator's own folder, which no pod sees.
        scratch: An empty folder of the host on which PID 1 mounts, unseen by others.
        user_namespace: Whether the pod's root is an ordinary user outside.
    """
    links, programs = _top_level()
    shims, trees = _interpreter()
    if spec.shell:
        shims = {**shims, f"{STUB_FOLDER}/sh": shutil.which(spec.shell) or spec.shell}
    return Blueprint(
        hostname=spec.pod_id,
        scratch=str(scratch),
        disk_bytes=_disk_bytes(spec),
        user_namespace=user_namespace,
        links=links,
        programs=programs,
        folders=_own_folders(),
        hidden=[Folder(path="/var/tmp", mode=0o1777), *_hidden(programs, state_dir)],  # noqa: S108 - inside
        trees=trees + _mounted_below(programs),
        workspace=None if spec.workspace is None else str(spec.workspace),
        mount_path=spec.mount_path,
        files=_files(spec),
        shims=shims,
    )


def _top_level() -> tuple[dict[str, str], list[str]]:
    """Sort the host's program folders into links (merged /usr) and real ones."""
    links, programs = {}, []
    for name in _PROGRAM_FOLDERS:
        path = Path("/", name)
        if path.is_symlink():
            links[f"/{name}"] = str(path.readlink())
        elif path.is_dir():
            programs.append(f"/{name}")
    return links, programs


def _own_folders() -> list[Folder]:
    plain = ("/home", "/media", "/mnt", "/srv", "/run/lock", "/run", "/dev", "/proc", "/sys")
    folders = [Folder(path=path, mode=0o755) for path in plain]
    return [*folders, Folder(path="/tmp", mode=0o1777), Folder(path="/root", mode=0o700)]  # noqa: S108 - inside


def _disk_bytes(spec: PodSpec) -> int:
    if spec.disk_mib is not None:
        return spec.disk_mib << 20
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(spec.container_disk_gb << 30, memory // _HALF_OF_MEMORY)


def _hidden(programs: list[str], state_dir: Path) -> list[Folder]:
    """Find homes and state that lie in a program folder; elsewhere they are not shown at all."""
    homes = {
        Path(entry.pw_dir)
        for entry in pwd.getpwall()
        if _FIRST_LOGIN_UID <= entry.pw_uid != _NO_LOGIN_UID
    }
    return [
        Folder(path=str(path), mode=0o755)
        for path in sorted({*homes, Path.home(), state_dir})
        if len(path.parts) > 2 and _is_below(path, programs)
    ]


def _mounted_below(programs: list[str]) -> list[str]:
    """Find file systems mounted inside program folders, which an overlay does not show."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        path = Path(line.split()[4].encode().decode("unicode_escape"))
        if len(path.parts) > 2 and path.parts[1] not in ("etc", "var") and path.is_dir():
            found.append(path)
    return [
        str(path)
        for path in sorted(set(found))
        if _is_below(path, programs) and not any(other in path.parents for other in found)
    ]


def _is_below(path: Path, programs: list[str]) -> bool:
    return any(Path(program) in path.parents for program in programs)


def _interpreter() -> tuple[dict[str, str], list[str]]:
    """Make sure that there are `python3` and `python`: the system's, or else the one that runs this.

    RunPod's images have both, and Debian has no `python` by itself.
    """
    system = next((path for path in _PYTHONS if Path(path).exists()), None)
    if system is not None:
        plain = any(Path(path.removesuffix("3")).exists() for path in _PYTHONS)
        return ({} if plain else {f"{STUB_FOLDER}/python": system}), []
    prefix = Path(sys.base_prefix).resolve()
    own = str(prefix / "bin" / "python3")
    shims = {f"{STUB_FOLDER}/{name}": own for name in ("python3", "python")}
    shown = _is_below(prefix, _top_level()[1])
    return shims, [] if shown else [str(prefix)]


def _files(spec: PodSpec) -> list[FileText]:
    hosts = _read("/etc/hosts") or "127.0.0.1\tlocalhost\n"
    resolver = _read("/etc/resolv.conf")
    profile = f'export PATH="{STUB_FOLDER}:$PATH"\n'
    wanted = [
        (f"{STUB_FOLDER}/nvidia-smi", 0o755, script(spec.gpu, spec.pod_id), True),
        ("/start.sh", 0o755, _START_SCRIPT, True),
        ("/etc/hostname", 0o644, f"{spec.pod_id}\n", False),
        ("/etc/hosts", 0o644, f"{hosts.rstrip()}\n127.0.1.1\t{spec.pod_id}\n", False),
        ("/etc/profile.d/00-pod-path.sh", 0o644, profile, False),
    ]
    for name, text in shims(spec.clock).items():
        wanted.append((f"{STUB_FOLDER}/{name}", 0o755, text, True))
    if resolver:
        wanted.append(("/etc/resolv.conf", 0o644, resolver, False))
    return [
        FileText(path=path, mode=mode, text=text, required=required)
        for path, mode, text, required in wanted
    ]


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""
