"""Lints about what commands and scripts say."""

import re
from collections.abc import Iterator

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.checks.shell_text import shell_texts
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.pod_paths import normal
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.user_paths import USER_PATH_PATTERN

TEE_HIDES_FAILURE = Lint(
    code="tee-hides-failure",
    summary="A pipe hides whether its first command failed",
    why="The exit status decides about success, and without `pipefail` the status of `train | tee "
    "log` is that of `tee`: a run that failed looks like one that succeeded.",
    cure="Write it at the top:\n  set -o pipefail",
)
WAIT_ENDS_SCRIPT = Lint(
    code="wait-ends-script",
    summary="The first background job that fails ends the script",
    why="With `set -e`, `wait -n` ends the script as soon as one background job has failed, and the "
    "others are cut off in the middle.",
    cure="Keep the status and go on:\n  wait -n || failed=1",
)
BACKGROUND_END = Lint(
    code="background-end",
    summary="The script ends before its work does",
    why="The run is over when the script ends. What it left in the background is ended with the "
    "pod, and the status of the script says nothing about it. Runs are detached as they are.",
    cure="Leave out `nohup` and `&`, or end the script with `wait`.",
)
USER_PATH = Lint(
    code="user-path",
    summary="A path of somebody's own machine",
    why="What lies below /home/NAME or /Users/NAME on one machine is not on the pod.",
    cure="Write the path relative to the script, or as it is on the pod.",
)
VENV_HIDDEN = Lint(
    code="venv-under-mount",
    summary="The environment is hidden by the mount",
    why="What an image has below the mount is covered by the disk that is mounted there, and a new "
    "disk is empty: an environment that was built into the image is not seen.",
    cure="Build the environment outside of the mount, such as in /opt/venv, or create it in the job.",
)
FLASH_ATTENTION = Lint(
    code="flash-attention-gpu",
    summary="A GPU of the list cannot do what the job asks of it",
    why="Flash attention 2 needs an Ampere GPU or a newer one; on an older one the job ends with an "
    "error, after setup and staging have been paid for.",
    cure="Take the older types out of `pod.gpu_order`, or choose the attention by what "
    "`$RUNPOD_DEPLOY_GPU_ID` says.",
)
LINTS = (
    TEE_HIDES_FAILURE,
    WAIT_ENDS_SCRIPT,
    BACKGROUND_END,
    USER_PATH,
    VENV_HIDDEN,
    FLASH_ATTENTION,
)

_OLD_GPUS = re.compile(r"\b(?:V100|T4|P100|GTX|RTX 20\d\d|Quadro RTX|TITAN)\b", re.IGNORECASE)


def tee(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """A pipe into `tee` does not swallow the exit status that the run is judged by."""
    for text in shell_texts(config, facts):
        if text.strict or not text.shell or "tee" not in text.text or "pipefail" in text.text:
            continue
        for number, line in text.lines():
            if re.search(r"\|&?\s*(?:sudo\s+)?tee\b", line) and "PIPESTATUS" not in text.text:
                yield TEE_HIDES_FAILURE.at(
                    **text.place(number),
                    detail=f"{text.told(number)} the status of what stands before `tee` is lost.",
                )
                break


def waiting(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """`wait -n` does not end a script that has more to wait for."""
    for text in shell_texts(config, facts):
        if not text.shell or "wait" not in text.text:
            continue
        if not (text.strict or re.search(r"^\s*set -\w*e|errexit", text.text, re.MULTILINE)):
            continue
        for number, line in text.lines():
            if re.search(r"^\s*wait\s+-n\b[^|&]*$", line):
                yield WAIT_ENDS_SCRIPT.at(
                    **text.place(number),
                    detail=f"{text.told(number)} `wait -n` runs with `set -e`.",
                )
                break


def background(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """The script waits for what it starts."""
    run = next((one for one in shell_texts(config, facts) if one.pointer.startswith("/run")), None)
    if run is None or not run.shell:
        return
    *_, last = ((0, ""), *run.lines())
    if re.search(r"(?<!&)&\s*(?:#.*)?$", last[1]):
        yield BACKGROUND_END.at(
            **run.place(last[0]),
            detail=f"{run.told(last[0])} the last command goes to the background.",
        )


def user_paths(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """No command names a home folder of the machine that the job was written on."""
    for text in shell_texts(config, facts):
        if "/home/" not in text.text and "/Users/" not in text.text:
            continue
        for number, line in text.lines():
            found = re.search(USER_PATH_PATTERN, line)
            if found:
                yield USER_PATH.at(
                    **text.place(number),
                    detail=f"{text.told(number)} stands `{found[0]}`, which is not on the pod.",
                )
                break


def hidden_venv(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """An environment below an empty disk is one that the job makes."""
    if config.storage.mode != "ephemeral":
        return
    texts = list(shell_texts(config, facts))
    if any(re.search(r"venv\s|virtualenv|uv sync|conda create", one.text) for one in texts):
        return
    mount = re.escape(normal(config.storage.volume_mount))
    for text in texts:
        for number, line in text.lines():
            found = re.search(rf"{mount}/\S*?v?env[^/\s]*/bin/", line) if "env" in line else None
            if found:
                yield VENV_HIDDEN.at(
                    **text.place(number),
                    detail=f"{text.told(number)} `{found[0]}` lies on a disk that is empty when "
                    "the pod starts, and no command makes an environment there.",
                )
                return


def flash_attention(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Every GPU of the list can do flash attention where the job asks for it."""
    old = [i for i, name in enumerate(config.pod.gpu_order) if _OLD_GPUS.search(name)]
    if not old:
        return
    for text in shell_texts(config, facts):
        if re.search(r"flash[_-]?attn|flash_attention_2", text.text):
            for index in old:
                yield FLASH_ATTENTION.at(
                    f"/pod/gpu_order/{index}",
                    f"The job asks for flash attention, and `{config.pod.gpu_order[index]}` is "
                    "older than Ampere.",
                )
            return


RULES = (tee, waiting, background, user_paths, hidden_venv, flash_attention)
