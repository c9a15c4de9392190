"""`load` gives a typed job, or every fault of the file at once."""

from pathlib import Path

import pytest

from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.schema.job import Admission, ArtifactEntry, JobConfig, SecretEntry
from runpod_deploy.schema.load import load, load_bytes, read_job_file

JOB = """\
schema_version: 3
name: train-{{ seed }}
variables: {seed: 007, lr: 1e-4, version: 1.10, fast: true, size: 0x10, word: plain}
pod:
  gpu_order: [NVIDIA L4]
  image: runpod/base:1.0.2
  datacenters: [EU-RO-1]
  admission: {min_gpu_memory_gb: 20}
  env: {LEVEL: 010}
secrets:
  - {name: hub, destination: /root/hub, env: [HF_TOKEN]}
run:
  body: |
    python train.py
  env: &env {N: 1}
remote_env: {exports: *env}
artifacts:
  - {label: out, remote_path: /out}
budget: {cost_cap_usd: 5}
"""


def refusal(raw: str | bytes, variables: dict[str, str] | None = None) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(InvalidInput) as refused:
        load_bytes(raw.encode() if isinstance(raw, str) else raw, variables, display="job.yaml")
    return refused.value.diagnostics


def test_a_job_file_becomes_typed_data(tmp_path: Path) -> None:
    """Sections become dataclasses, lists tuples, whole dollars floats, and defaults are filled in."""
    file = tmp_path / "job.yaml"
    file.write_text(JOB)

    job = load(file)

    assert "train-{{ seed }}" == job.name
    assert ("NVIDIA L4",) == job.pod.gpu_order
    assert ("EU-RO-1",) == job.pod.datacenters
    assert Admission(min_gpu_memory_gb=20.0) == job.pod.admission
    assert (SecretEntry(name="hub", destination="/root/hub", env=("HF_TOKEN",)),) == job.secrets
    assert (ArtifactEntry(label="out", remote_path="/out"),) == job.artifacts
    assert (5.0, float) == (job.budget.cost_cap_usd, type(job.budget.cost_cap_usd))
    assert str(file) == job.source.path


def test_a_path_may_be_text(tmp_path: Path) -> None:
    """The path may be a `str`, and `display` replaces it in positions."""
    file = tmp_path / "job.yaml"
    file.write_text(JOB)

    job = load(str(file), display="configs/job.yaml")

    assert load_bytes(JOB.encode(), display="other") == job
    assert "configs/job.yaml:4:1" == str(job.source.locate_key("/pod"))


def test_values_are_taken_as_written() -> None:
    """Variables and environments are text, spelt as in the file and not as a number would print."""
    job = load_bytes(JOB.encode(), display="j")

    assert {
        "seed": "007",
        "lr": "1e-4",
        "version": "1.10",
        "fast": "true",
        "size": "0x10",
        "word": "plain",
    } == job.variables
    assert {"LEVEL": "010"} == job.pod.env
    assert {"N": "1"} == job.run.env == job.remote_env.exports


def test_the_command_line_wins() -> None:
    """A variable of the command line replaces that of the file, and is not looked into."""
    job = load_bytes(JOB.encode(), {"seed": "{{ x }}"}, display="j")

    assert "{{ x }}" == job.variables["seed"]
    assert "1e-4" == job.variables["lr"]


def test_an_undeclared_variable_names_the_near_miss() -> None:
    """A variable that the file does not declare is an error without a place in the file."""
    (one,) = refusal(JOB, {"sed": "1"})

    assert ("undeclared-variable", None, "seed") == (one.code, one.where, one.suggestion)


def test_faults_of_all_kinds_are_told_together_and_in_order() -> None:
    """YAML faults, misfits, broken rules and the command line's faults come in one go, by place."""
    text = JOB.replace("datacenters:", "datacentres:") + "name: b\nstorage: {volume_gb: 9}\n"

    found = refusal(text, {"nope": "1"})

    assert [
        ("undeclared-variable", None),
        ("unknown-key", "job.yaml:7:3"),
        ("duplicate-key", "job.yaml:20:1"),
        ("no-effect", "job.yaml:21:11"),
        ("out-of-range", "job.yaml:21:22"),
    ] == [(one.code, None if one.where is None else str(one.where)) for one in found]


def test_each_diagnostic_carries_its_line() -> None:
    """The line for the caret view travels with the diagnostic."""
    (one,) = refusal(JOB.replace("cost_cap_usd: 5", "cost_cap_usd: x"))

    assert "budget: {cost_cap_usd: x}" == one.source_line


def test_many_faults_are_cut_and_the_cut_is_told() -> None:
    """After a hundred errors a note says that there may be more."""
    found = refusal(JOB + "".join(f"k{n}: 1\n" for n in range(300)))

    assert 101 == len(found)
    assert "more-findings" == found[-1].code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: train-{{ seed }}", "name: 日本 train"),
        ("datacenters: [EU-RO-1]", "datacenters: any"),
        ("datacenters: [EU-RO-1]", "min_cuda: null"),
        ("image: runpod/base:1.0.2", "image: a\n  template_id: b"),
        ("gpu_order: [NVIDIA L4]", "gpu_order: [NVIDIA Never Heard Of]"),
        ("budget: {cost_cap_usd: 5}", "budget: {soft_cap_fraction: 1}"),
        ("budget: {cost_cap_usd: 5}", "lease: {required: false}"),
        ("budget: {cost_cap_usd: 5}", "storage: {mode: ephemeral, volume_gb: 10}"),
        ("budget: {cost_cap_usd: 5}", "lifecycle: {on_success: stop, on_failure: null}"),
    ],
)
def test_what_is_allowed(old: str, new: str) -> None:
    """Unknown GPU types, nulls that mean "not said", and values at their bounds are accepted."""
    assert old in JOB

    assert isinstance(load_bytes(JOB.replace(old, new).encode(), display="j"), JobConfig)


@pytest.mark.parametrize("value", ["22/tcp\\n", "٢٢/tcp", "0/tcp", "123456/tcp", "22/TCP"])
def test_a_port_is_ascii_digits_to_the_end(value: str) -> None:
    """Patterns read as an editor reads them: `$` is the very end, digits are ASCII."""
    text = JOB.replace("datacenters: [EU-RO-1]", f'ports: ["{value}"]')

    assert {"malformed-value", "out-of-range"} >= {one.code for one in refusal(text)}


@pytest.mark.parametrize("target", ["../../outside.yaml", "../.git/config", "/proc/self/environ"])
def test_a_job_file_that_links_out_of_its_repository_is_not_read(
    target: str, tmp_path: Path
) -> None:
    """A pull request may hold such a link, and findings would quote what it leads to."""
    repository = tmp_path / "repository"
    (repository / "jobs").mkdir(parents=True)
    (repository / ".git").mkdir()
    (repository / ".git" / "config").write_text("planted: token\n")
    (tmp_path / "outside.yaml").write_text("planted: token\n")
    job = repository / "jobs" / "job.yaml"
    job.symlink_to(target)

    with pytest.raises(InvalidInput) as loaded:
        load(job)
    with pytest.raises(InvalidInput) as read:
        read_job_file(job)

    for caught in (loaded, read):
        assert ["path-outside"] == [one.code for one in caught.value.diagnostics]
        assert "planted" not in repr(caught.value.diagnostics)


def test_a_job_file_may_link_to_another_one_of_its_repository(tmp_path: Path) -> None:
    """A link inside is followed, and so is one that the person at the keyboard allows."""
    inside, outside = tmp_path / "repository", tmp_path / "shared"
    inside.mkdir()
    outside.mkdir()
    (inside / "a.yaml").write_text(_JOB)
    (outside / "b.yaml").write_text(_JOB)
    (inside / "link-a.yaml").symlink_to("a.yaml")
    (inside / "link-b.yaml").symlink_to("../shared/b.yaml")

    assert "small" == load(inside / "link-a.yaml").name
    assert "small" == load(inside / "link-b.yaml", allow_paths=[outside]).name


_JOB = """\
schema_version: 3
name: small
pod: {image: "runpod/base:1", gpu_order: [NVIDIA L4]}
run: {body: "true"}
"""


def test_a_misspelt_key_that_is_needed_is_one_error() -> None:
    """The near name is told where the key stands, and not that the key is missing, too."""
    bad = JOB.replace("gpu_order:", "gpu_odrer:").replace("remote_path:", "remote:")
    assert [("unknown-key", "gpu_order"), ("unknown-key", "remote_path")] == [
        (one.code, one.suggestion) for one in refusal(bad)
    ]


def test_a_pod_without_gpus_is_not_told_to_have_some() -> None:
    """Beside `pod.cpu` no GPU is missing; with neither it is the GPUs that are named."""
    cpu = JOB.replace("gpu_order: [NVIDIA L4]", "cpu: {flavor: cpu5c, vcpus: 2}")
    config = load_bytes(cpu.encode(), display="job.yaml")
    assert config.pod.cpu is not None
    assert ("cpu5c", 2, ()) == (config.pod.cpu.flavor, config.pod.cpu.vcpus, config.pod.gpu_order)
    neither = JOB.replace("  gpu_order: [NVIDIA L4]\n", "")
    assert ["missing-key"] == [one.code for one in refusal(neither)]


@pytest.mark.parametrize(
    ("old", "new", "summary"),
    [
        ("run:", "run:\n  timeout: 3", "Unknown key"),
        ("budget:", "lease: {silence_minutes: x}\nbudget:", "Wrong type of value"),
    ],
)
def test_a_faulty_file_without_a_version_is_held_against_the_one_it_is_like(
    old: str, new: str, summary: str
) -> None:
    """Of version 2 nobody is told who wrote none of what it needs."""
    bad = JOB.replace("schema_version: 3\n", "").replace(old, new, 1)
    found = refusal(bad)
    assert {"Missing key", summary} == {one.summary for one in found}
    assert ["A job file needs the key `schema_version` (the version of this format)."] == [
        one.detail for one in found if one.summary == "Missing key"
    ]
