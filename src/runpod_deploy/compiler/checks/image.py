"""Lints about the image and how its container starts."""

import re
from collections.abc import Iterator

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved

MUTABLE_IMAGE = Lint(
    code="mutable-image",
    summary="The image is not pinned",
    why="A tag such as `latest`, or no tag at all, is another image tomorrow: the same plan then "
    "runs something else, and a host that has an old copy runs that one.",
    cure="Name a tag that is never moved, or a digest.",
)
CUDA_FLOOR = Lint(
    code="cuda-floor",
    summary="Hosts with an older driver are not passed over",
    why="An image built for a newer CUDA than the host's driver supports does not start, or falls "
    "back to the CPU, and is billed all the same.",
    cure="Say in `pod.min_cuda` which CUDA version the image was built for.",
)
PYTHON_IMAGE = Lint(
    code="python-image",
    summary="The image has another Python than the job asks for",
    why="`pod.python_version` is checked on the pod before the job starts; when the image brings "
    "another version and nothing installs the wanted one, the pod has been paid for nothing.",
    cure="Choose an image with that Python, or change `pod.python_version`.",
)
START_WITHOUT_SSH = Lint(
    code="start-without-ssh",
    summary="The start command starts no SSH server",
    why="A start command replaces the image's own one, and with it what puts the key in place and "
    "starts the SSH server. Without it nobody gets into the pod, which is billed until then.",
    cure="End the command with what RunPod's images run:\n  /start.sh",
)
OTHER_IMAGE = Lint(
    code="image-without-ssh",
    summary="The image may have no SSH server",
    why="RunPod's own images start an SSH server with the key of the run. Most others do not, and "
    "the pod is billed until the login is given up.",
    cure="Use an image of RunPod, or say in `pod.start_command` how an SSH server is started.",
)
SHORT_READY_TIMEOUT = Lint(
    code="short-ready-timeout",
    summary="There is little time to pull the image",
    why="A host that does not have the image needs minutes to pull it, three for 16 GB. A pod that "
    "is given up while it pulls was paid for nothing, and the next one begins anew.",
    cure="Leave the 900 seconds of `budget.ssh_ready_timeout_sec` as they are, or give more.",
)
LINTS = (
    MUTABLE_IMAGE,
    CUDA_FLOOR,
    PYTHON_IMAGE,
    START_WITHOUT_SSH,
    OTHER_IMAGE,
    SHORT_READY_TIMEOUT,
)

_MOVED = frozenset(("latest", "main", "master", "dev", "devel", "nightly", "edge", "stable"))
_SHORT_SEC = 300


def _parts(image: str) -> tuple[str, str | None, bool]:
    """Return repository, tag and whether a digest is given."""
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag if colon else None, bool(digest)


def _cuda_of(image: str) -> tuple[int, int] | None:
    """Return the CUDA version that the tag of an image tells, if it does."""
    repository, tag, _ = _parts(image)
    if not tag:
        return None
    found = None
    if repository.endswith("/cuda") or repository == "cuda":
        found = re.match(r"(\d{2})\.(\d)", tag)
    if found is None:
        found = re.search(
            r"(?<![a-z])cu(?:da)?[-_]?(\d{2})\.?(\d)(?:\.?\d)?(?!\d)", tag, re.IGNORECASE
        )
    return (int(found[1]), int(found[2])) if found else None


def _python_of(image: str) -> str | None:
    repository, tag, _ = _parts(image)
    if not tag:
        return None
    if repository.endswith("/python") or repository == "python":
        found = re.match(r"(3)\.(\d{1,2})", tag)
    else:
        found = re.search(r"(?<![a-z])py(?:thon)?[-_]?(3)\.?(\d{1,2})(?!\d)", tag)
    return f"{found[1]}.{found[2]}" if found else None


def pinned(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The image is the same one tomorrow."""
    if not config.pod.image:
        return
    _, tag, digest = _parts(config.pod.image)
    if not digest and (tag is None or tag.lower() in _MOVED):
        said = "has no tag, which means `latest`" if tag is None else "has a tag that is moved"
        yield MUTABLE_IMAGE.at("/pod/image", f"`{config.pod.image}` {said}.")


def _say_so(version: str, *, cluster: bool) -> str:
    floor = f'min_cuda: "{version}"'
    if not cluster:
        return f"Add below `pod`:\n  {floor}"
    # RunPod takes no such wish for a cluster; what it gives can be looked at, and given back.
    return f"Add below `pod`:\n  admission: {{{floor}}}"


def cuda_floor(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Hosts whose driver is too old for the image are passed over."""
    pod = config.pod
    wanted = _cuda_of(pod.image) if pod.image and pod.cpu is None else None
    if wanted is None:
        return
    version = f"{wanted[0]}.{wanted[1]}"
    said = pod.min_cuda or pod.admission.min_cuda
    if said is None:
        old = config.source.version == 2
        yield CUDA_FLOOR.at(
            "/pod/image",
            f"The image is built for CUDA {version}, and nothing keeps the job from a host whose "
            "driver is older: there the container does not start, or runs on the CPU.",
            help="Version 3 of the format can say it. Migrate the file and add below `pod`:\n"
            f'  min_cuda: "{version}"'
            if old
            else _say_so(version, cluster=config.cluster is not None),
        )
    elif re.fullmatch(r"\d+\.\d+", said) and tuple(map(int, said.split("."))) < wanted:
        pointer = "/pod/min_cuda" if pod.min_cuda else "/pod/admission/min_cuda"
        yield CUDA_FLOOR.at(
            pointer,
            f"The image is built for CUDA {version}, and hosts from {said} on are taken.",
            help=f'Write:\n  min_cuda: "{version}"',
        )


def python_of_image(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The Python that is checked for is the one that the image brings."""
    pinned_version, image = config.pod.python_version, config.pod.image
    brought = _python_of(image) if image and pinned_version else None
    if brought and pinned_version and ".".join(pinned_version.split(".")[:2]) != brought:
        yield PYTHON_IMAGE.at(
            "/pod/python_version",
            f"The job asks for Python {pinned_version}, and by its tag the image brings {brought}. "
            "`python3` on the pod is asked before the job starts.",
        )


def ssh_server(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Something starts an SSH server."""
    command, image = config.pod.start_command, config.pod.image
    if command is not None:
        if not re.search(r"start\.sh|sshd|ssh\s+start|dropbear", command):
            yield START_WITHOUT_SSH.at(
                "/pod/start_command",
                "The command names neither `/start.sh` nor `sshd`, so the way into the pod may "
                "never open.",
            )
    elif image and not config.pod.template_id and not _is_runpods(image):
        yield OTHER_IMAGE.at(
            "/pod/image",
            f"`{image}` is not one of RunPod's own, and `pod.start_command` does not say how an "
            "SSH server is started in it.",
            help="If the image starts one by itself, there is nothing to do."
            if config.source.version == 2
            else None,
        )


def ready_timeout(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A cold pull of a large image has the time it needs."""
    seconds = config.budget.ssh_ready_timeout_sec
    if seconds < _SHORT_SEC:
        yield SHORT_READY_TIMEOUT.at(
            "/budget/ssh_ready_timeout_sec",
            f"After {seconds:g} seconds a pod that cannot be reached yet is given up.",
        )


def _is_runpods(image: str) -> bool:
    return image.removeprefix("docker.io/").startswith("runpod/")


RULES = (pinned, cuda_floor, python_of_image, ssh_server, ready_timeout)
