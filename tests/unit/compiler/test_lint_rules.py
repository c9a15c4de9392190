"""Each lint: what sets it off, what does not, and what of the known traps a compiler can see."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from compiler_cases import job
from runpod_deploy.compiler.checks.every import LINTS
from runpod_deploy.compiler.compile import check_job
from runpod_deploy.compiler.facts import Facts, Mark
from runpod_deploy.compiler.listed import listed, listed_price
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import Severity

VOLUME: dict[str, Any] = {"mode": "network_volume", "volume_name": "v"}
CODE: dict[str, Any] = {"label": "code", "source": "src", "destination": "/app"}
TOKEN = "hf_" + "a" * 34


def entry(path: str, size: int = 1) -> PayloadEntry:
    """Return a staged file."""
    return PayloadEntry(path=path, type="file", size=size, exec=False, sha256="0" * 64)


def told(over: dict[str, Any], facts: Facts | None = None, **variables: str) -> set[str]:
    """Return the codes of all warnings about a job."""
    found = check_job(job(over, **variables), facts or Facts(job_file="job.yaml"))
    return {one.code for one in found if one.severity is Severity.WARNING}


def staged(*files: PayloadEntry, **facts: Any) -> Facts:
    """Return facts about one staging."""
    return Facts(job_file="job.yaml", payload={"code": files}, **facts)


def body(text: str, **over: Any) -> dict[str, Any]:
    """Return a job that runs `text`."""
    return {"run": {"body": text}, **over}


def volume_body(text: str, **over: Any) -> dict[str, Any]:
    """Return a job on a network volume that runs `text`."""
    return {"storage": VOLUME, "pod": {"image": "runpod/base:1.0"}, **body(text, **over)}


SETS_OFF: list[tuple[str, dict[str, Any]]] = [
    ("mutable-image", {"pod": {"image": "runpod/base"}}),
    ("mutable-image", {"pod": {"image": "runpod/base:latest"}}),
    ("mutable-image", {"pod": {"image": "registry.example:5000/x/y"}}),
    ("cuda-floor", {"pod": {"image": "runpod/pytorch:1.0-cu1281-torch29"}}),
    ("cuda-floor", {"pod": {"image": "nvidia/cuda:12.4.1-devel", "min_cuda": "12.1"}}),
    ("python-image", {"pod": {"image": "runpod/x:py3.10", "python_version": "3.12"}}),
    ("start-without-ssh", {"pod": {"start_command": "sleep infinity"}}),
    ("image-without-ssh", {"pod": {"image": "ubuntu:22.04"}}),
    ("short-ready-timeout", {"budget": {"ssh_ready_timeout_sec": 60}}),
    ("unknown-gpu", {"pod": {"gpu_order": ["RTX 4090"]}}),
    ("unknown-datacenter", {"pod": {"datacenters": ["EU-RO-9"]}}),
    (
        "secret-not-sourced",
        {"secrets": [{"name": "k", "destination": "/k.env", "env": ["A"], "export": False}]},
    ),
    ("source-file-unmade", {"remote_env": {"source_files": ["/root/x.env"]}}),
    ("secret-in-job", {"pod": {"env": {"HF_TOKEN": TOKEN}}}),
    ("secret-in-job", body(f"export HF_TOKEN={TOKEN}\n")),
    ("secret-in-job", {"pod": {"env": {"HF_TOKEN": "hf_" + "a1" * 17}}}),
    ("secret-in-job", {"pod": {"env": {"DB_PASSWORD": "k3-correct-horse"}}}),
    ("secret-in-job", {"run": {"body": "true", "env": {"WANDB_API_KEY": "0a" * 20}}}),
    ("secret-in-job", {"variables": {"password": "hunter2hunter2"}}),
    ("cap-before-runtime", {"budget": {"cost_cap_usd": 1, "max_runtime_minutes": 240}}),
    ("cap-before-runtime", {"budget": {"cost_cap_usd": 0.05}}),
    ("literal-variable", {"remote_env": {"exports": {"PATH": "/x:$PATH"}}}),
    ("literal-variable", {"run": {"body": "true", "env": {"HF_HOME": "${HOME}/hf"}}}),
    ("tee-hides-failure", {"run": {"body": "python x.py | tee log\n", "strict": False}}),
    ("wait-ends-script", body("a &\nwait -n\n")),
    ("background-end", body("python train.py &\n")),
    ("user-path", body("python /home/jo/train.py\n")),
    ("user-path", {"setup": [{"command": "ls /Users/jo/data"}]}),
    (
        "venv-under-mount",
        body("/workspace/venv/bin/python x\n", storage={"mode": "ephemeral", "volume_gb": 20}),
    ),
    (
        "flash-attention-gpu",
        body("pip install flash-attn\n", pod={"gpu_order": ["Tesla V100-PCIE-16GB"]}),
    ),
    ("uv-link-mode", volume_body("cd /workspace/app\nuv sync\n")),
    ("uv-cache-on-volume", volume_body("UV_CACHE_DIR=/workspace/c uv sync\n")),
    ("uv-cache-on-volume", volume_body("uv sync\n")),
    ("trainer-output-on-volume", volume_body("train --output_dir /workspace/out\n")),
    ("lock-on-volume", volume_body("flock /workspace/lock true\n")),
    # An export that does not reach a command is as good as none.
    (
        "uv-link-mode",
        {
            **volume_body("true\n"),
            "setup": [{"command": "cd /workspace/app && uv sync", "with_env": False}],
            "remote_env": {"exports": {"UV_LINK_MODE": "copy"}},
        },
    ),
]

SETS_NOTHING_OFF: list[tuple[str, dict[str, Any]]] = [
    ("mutable-image", {"pod": {"image": "runpod/base@sha256:" + "a" * 64}}),
    ("mutable-image", {"pod": {"image": "registry.example:5000/x/y:1.2"}}),
    ("cuda-floor", {"pod": {"image": "runpod/pytorch:1.0-cu1281-t", "min_cuda": "12.8"}}),
    ("cuda-floor", {"pod": {"image": "runpod/base:1.0"}}),
    ("python-image", {"pod": {"image": "runpod/x:py3.12", "python_version": "3.12.3"}}),
    ("start-without-ssh", {"pod": {"start_command": "bash -c 'x; /start.sh'"}}),
    ("image-without-ssh", {"pod": {"image": "docker.io/runpod/base:1.0"}}),
    ("short-ready-timeout", {"budget": {"ssh_ready_timeout_sec": 900}}),
    ("unknown-gpu", {"pod": {"gpu_order": ["NVIDIA GeForce RTX 4090"]}}),
    ("unknown-datacenter", {"pod": {"datacenters": "any"}}),
    (
        "secret-not-sourced",
        {"secrets": [{"name": "k", "destination": "/k.env", "env": ["A"], "export": True}]},
    ),
    (
        "secret-not-sourced",
        {
            "secrets": [{"name": "k", "destination": "/k.env", "env": ["A"], "export": False}],
            **body(". /k.env\n"),
        },
    ),
    (
        "source-file-unmade",
        {
            "remote_env": {"source_files": ["/root/x.env"]},
            "secrets": [{"name": "k", "destination": "/root/x.env", "env": ["A"]}],
        },
    ),
    ("secret-in-job", {"pod": {"env": {"HF_TOKEN_NAME": "hf_model"}}}),
    ("secret-in-job", {"pod": {"env": {"EOS_TOKEN": "endoftext50256", "MAX_TOKEN": "40960000"}}}),
    ("secret-in-job", {"variables": {"api_key": "{{ env.KEY_1 }}", "token": "mask-15"}}),
    ("secret-in-job", {"run": {"body": "true", "env": {"DB_PASSWORD": "/root/secrets/db1"}}}),
    ("cap-before-runtime", {"budget": {"cost_cap_usd": 2.1, "max_runtime_minutes": 240}}),
    ("cap-before-runtime", {"budget": {"cost_cap_usd": 0.1}}),
    (
        "cap-before-runtime",
        {"pod": {"gpu_order": ["NVIDIA A30"]}, "budget": {"cost_cap_usd": 0.01}},
    ),
    ("literal-variable", {"run": {"body": "true", "env": {"PRICE": "5$ or $5", "A": "a$"}}}),
    ("tee-hides-failure", {"run": {"body": "python x.py | tee log\n"}}),
    (
        "tee-hides-failure",
        {"run": {"body": "set -o pipefail\nx | tee log\n", "strict": False}},
    ),
    ("wait-ends-script", body("a &\nwait -n || bad=1\n")),
    ("background-end", body("a &\nwait\n")),
    ("background-end", body("a && b\n")),
    ("user-path", body("curl https://example.org/home/jo/x\ncd /home\n")),
    (
        "venv-under-mount",
        body(
            "python -m venv /workspace/venv\n/workspace/venv/bin/python x\n",
            storage={"mode": "ephemeral", "volume_gb": 20},
        ),
    ),
    ("flash-attention-gpu", body("pip install flash-attn\n")),
    ("uv-link-mode", volume_body("UV_LINK_MODE=copy uv sync\n")),
    ("uv-link-mode", body("uv sync\n")),
    ("uv-cache-on-volume", volume_body("UV_CACHE_DIR=/root/c UV_LINK_MODE=copy uv sync\n")),
    ("trainer-output-on-volume", volume_body("train --output_dir /root/out\n")),
    ("lock-on-volume", volume_body("flock /tmp/lock true\n")),
]

PAYLOADS: list[tuple[str, Facts]] = [
    ("nothing-staged", staged()),
    ("secret-staged", staged(entry("deep/.env"))),
    ("secret-staged", staged(entry("id_rsa"))),
    (
        "secret-in-file",
        staged(entry("a.py"), marks={"code": (Mark(path="a.py", kind="secret", line=3),)}),
    ),
    ("large-file", staged(entry("x.bin", 2**30))),
    ("disk-too-small", staged(entry("x.bin", 20 * 10**9 + 1))),
    (
        "user-path-in-file",
        staged(entry("a.py"), marks={"code": (Mark(path="a.py", kind="user-path", line=3),)}),
    ),
    (
        "tool-in-payload",
        staged(
            entry("a"), requirements={"code": {"requirements.txt": "numpy\nrunpod-deploy>=1\n"}}
        ),
    ),
    (
        "tool-in-payload",
        staged(
            entry("a"),
            requirements={"code": {"pyproject.toml": 'dependencies = ["runpod-deploy"]'}},
        ),
    ),
    (
        "torch-index",
        staged(entry("a"), requirements={"code": {"requirements.txt": "torch==2.9\n"}}),
    ),
]

QUIET_PAYLOADS: list[tuple[str, Facts]] = [
    ("nothing-staged", staged(entry("a"))),
    ("secret-staged", staged(entry(".env.example"), entry("secrets.py"))),
    ("large-file", staged(entry("x.bin", 2**30 - 1))),
    ("disk-too-small", staged(entry("x.bin", 20 * 10**9))),
    (
        "tool-in-payload",
        staged(entry("a"), requirements={"code": {"pyproject.toml": 'name = "runpod-deploy"\n'}}),
    ),
    (
        "tool-in-payload",
        staged(entry("a"), requirements={"code": {"requirements.txt": "# runpod-deploy\nx\n"}}),
    ),
    (
        "torch-index",
        staged(
            entry("a"),
            requirements={"code": {"requirements.txt": "torch==2.9+cu128\n"}},
        ),
    ),
    (
        "torch-index",
        staged(entry("a"), requirements={"code": {"requirements.txt": "torchvision\n"}}),
    ),
]


@pytest.mark.parametrize(("code", "over"), SETS_OFF)
def test_what_sets_a_lint_off(code: str, over: dict[str, Any]) -> None:
    """The warning is told."""
    assert code in told(over)


@pytest.mark.parametrize(("code", "over"), SETS_NOTHING_OFF)
def test_what_does_not_set_it_off(code: str, over: dict[str, Any]) -> None:
    """What is well is not warned of."""
    assert code not in told(over)


@pytest.mark.parametrize(("code", "facts"), PAYLOADS)
def test_what_is_staged_sets_a_lint_off(code: str, facts: Facts) -> None:
    """The warning is told about the staging."""
    assert code in told({"staging": [CODE]}, facts)


@pytest.mark.parametrize(("code", "facts"), QUIET_PAYLOADS)
def test_what_is_staged_and_well(code: str, facts: Facts) -> None:
    """What is well is not warned of."""
    assert code not in told({"staging": [CODE]}, facts)


def test_an_image_with_torch_needs_no_index() -> None:
    """What the image brings is kept by an unpinned requirement."""
    facts = staged(entry("a"), requirements={"code": {"requirements.txt": "torch\n"}})
    image = "runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204"

    assert "torch-index" not in told({"staging": [CODE], "pod": {"image": image}}, facts)


def test_every_lint_has_a_case_for_and_against() -> None:
    """No code is without an example of both kinds, but those that a mark sets off."""
    codes = {lint.code for lint in LINTS}

    assert codes == {code for code, _ in (*SETS_OFF, *PAYLOADS)}
    marks = {"secret-in-file", "user-path-in-file"}
    assert codes - marks == {code for code, _ in (*SETS_NOTHING_OFF, *QUIET_PAYLOADS)}


def test_a_cap_is_held_against_the_cheapest_price_that_is_known() -> None:
    """All GPUs and disks count, what was said goes before the list, and unknown prices are told."""
    pod = {"gpu_order": ["NVIDIA L4", "NVIDIA A30", "NVIDIA L40S"], "gpu_count": 2}
    over = {"pod": pod, "budget": {"cost_cap_usd": 1, "max_runtime_minutes": 120}}
    (one,) = [
        each
        for each in check_job(job(over), Facts(job_file="job.yaml"))
        if each.code == "cap-before-runtime"
    ]

    assert one.detail == (
        "At 0.98 USD per hour (2 × NVIDIA L4 in Secure Cloud, by the prices of this release) the cap "
        "of 1.00 USD is reached after 61 minutes of the 120 allowed by `max_runtime_minutes`. What "
        "`NVIDIA A30` costs is not known to this release."
    )
    over["budget"]["assumed_hourly_rate_usd"] = 0.4
    assert "cap-before-runtime" not in told(over)


def test_each_disk_is_held_against_what_is_sent_to_it() -> None:
    """What lies on the mounted disk does not count for the container's."""
    mounted = {**CODE, "destination": "/workspace/app"}
    facts = staged(entry("x.bin", 25 * 10**9))
    storage = {"mode": "ephemeral", "volume_gb": 20}

    assert "disk-too-small" in told({"staging": [mounted], "storage": storage}, facts)
    storage = {"mode": "ephemeral", "volume_gb": 30}
    assert "disk-too-small" not in told({"staging": [mounted], "storage": storage}, facts)
    assert "disk-too-small" not in told({"staging": [mounted], "storage": VOLUME}, facts)


def test_every_price_of_the_list_is_understood() -> None:
    """What the hover says about a GPU is a price in a cloud, or that none is known."""
    for gpu, told_of in listed("gpu").items():
        prices = [listed_price(gpu, cloud) for cloud in ("SECURE", "COMMUNITY")]
        assert any(prices) or told_of.endswith("Price not known."), gpu


def test_a_secret_is_not_repeated() -> None:
    """Neither the detail nor the line of the file shows what looks like one."""
    found = check_job(job({"pod": {"env": {"X": TOKEN}}}), Facts(job_file="job.yaml"))
    (one,) = [each for each in found if each.code == "secret-in-job"]

    assert one.where is not None
    assert one.source_line is None
    assert TOKEN not in f"{one.detail}{one.help}{one.suggestion}"


def test_every_kind_of_secret_in_a_script_is_told() -> None:
    """One finding for each kind, at its own line."""
    text = f"true\nexport A={TOKEN}\nexport B=ghp_{'b1' * 18}\n"
    found = check_job(job(body(text)), Facts(job_file="job.yaml"))
    told_of = [one.detail for one in found if one.code == "secret-in-job"]

    assert ["It looks like a GitHub token.", "It looks like a Hugging Face token."] == sorted(
        told_of
    )


def test_an_unknown_gpu_is_answered_with_what_it_may_be() -> None:
    """The near ones come with memory and price."""
    found = check_job(job({"pod": {"gpu_order": ["RTX 4090"]}}), Facts(job_file="job.yaml"))
    (one,) = [each for each in found if each.code == "unknown-gpu"]

    assert one.suggestion == "NVIDIA GeForce RTX 4090"
    assert "24 GB" in (one.help or "")


@pytest.mark.parametrize(
    ("written", "meant"), [("RTX4090", "NVIDIA GeForce RTX 4090"), ("A400", "NVIDIA RTX A4000")]
)
def test_a_gpu_is_found_by_a_part_of_its_name(written: str, meant: str) -> None:
    """Spaces do not matter, and a part that is written as it is goes before a likeness."""
    found = check_job(job({"pod": {"gpu_order": [written]}}), Facts(job_file="job.yaml"))

    assert [meant] == [one.suggestion for one in found if one.code == "unknown-gpu"]


TRAPS: dict[str, tuple[str, ...] | str] = {
    "flags that are dropped": "spot, min_vcpu_count and min_memory_gb are errors of their own",
    "pod not ready in time": ("short-ready-timeout",),
    "no configured GPU is available": ("unknown-gpu", "unknown-datacenter"),
    "permission denied (publickey)": ("start-without-ssh", "image-without-ssh"),
    "no /workspace": "a network volume narrows the candidates to Secure Cloud, told as a note",
    "runpod-deploy in the payload": ("tool-in-payload",),
    "paths of /Users and /home": ("user-path", "user-path-in-file"),
    "project root is the home folder": "an error of the project's look-up",
    "images without rsync": "rsync is not needed on the pod",
    "excludes drop what is needed": ("nothing-staged",),
    "driver too old": ("cuda-floor", "torch-index"),
    "uv python install fails": ("python-image",),
    "uv sync hangs on FUSE": ("uv-link-mode",),
    "uv hangs in git reset": ("uv-cache-on-volume",),
    "checkpoints hang on FUSE": ("trainer-output-on-volume", "lock-on-volume"),
    "secrets missing on an ephemeral volume": ("secret-not-sourced", "source-file-unmade"),
    "flash attention unsupported": ("flash-attention-gpu",),
    "pod killed in the run": "seen by the executor only",
    "sweep traps": ("tee-hides-failure", "wait-ends-script"),
    "stale pods bill": "seen in the account only",
    "a failed run leaves a pod": "the lease and the lifecycle decide it",
    "uploaded again on each run": ("large-file",),
    "predictions lost": "results are required unless the job says otherwise",
    "phantom image tag": ("mutable-image",),
    "22/tcp": "an error, `no-ssh-port`",
    "running is not ready": "the executor polls for a login",
    "detaching": ("background-end",),
    "rsync flags": "files do not travel by rsync",
    "a venv hidden by the mount": ("venv-under-mount",),
    "a secrets file is not sourced": ("secret-not-sourced",),
}
"""Each trap that users of the predecessor fell into, and its lints, or why there is none."""


def test_every_known_trap_has_its_lint_or_its_reason() -> None:
    """All thirty are told by a lint of ours, or cannot be seen or cannot happen any more."""
    assert len(TRAPS) == 30
    codes = {lint.code for lint in LINTS}
    for trap, answer in TRAPS.items():
        assert isinstance(answer, str) or set(answer) <= codes, trap


def test_the_page_of_lints_is_current() -> None:
    """`docs/reference/lints.md` is what its script writes."""
    root = Path(__file__).parents[3]
    write = runpy.run_path(str(root / "scripts" / "write-lints-page"))

    assert (root / "docs/reference/lints.md").read_text("utf-8") == write["page"]()
