"""Which runs a `matrix` means, what they are called, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from runpod_deploy.compiler.matrix import combinations, shard_of
from runpod_deploy.compiler.sweep_uploads import refuse_shared_places
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.plan_sweep import each_config
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load_bytes

HEAD = b"""\
schema_version: 3
name: tune
variables: {lr: "1e-3", note: ""}
pod:
  image: runpod/base:1.0.2
  gpu_order: [NVIDIA L4]
run: {body: "echo {{ lr }}"}
"""


def job(matrix: str, **variables: str) -> JobConfig:
    """Return a job with that `matrix`."""
    return load_bytes(HEAD + matrix.encode(), variables, display="job.yaml")


def values(config: JobConfig) -> list[tuple[str, ...]]:
    """Return the values of each run, in order."""
    return [tuple(one.variables.values()) for one in combinations(config)]


def test_the_first_axis_changes_slowest() -> None:
    """Two axes of two values are four runs, in the order of the file."""
    config = job("matrix: {axes: {seed: [1, 2], lr: [1e-4, 3e-4]}}\n")
    assert values(config) == [("1", "1e-4"), ("1", "3e-4"), ("2", "1e-4"), ("2", "3e-4")]
    assert next(one.name for one in combinations(config)) == "seed=1_lr=1e-4"


def test_values_are_texts_as_they_are_written() -> None:
    """`1.10` stays `1.10`, and true stays true: an axis is a variable."""
    config = job("matrix: {axes: {version: [1.10, true]}}\n")
    assert values(config) == [("1.10",), ("true",)]


def test_exclude_leaves_out_what_has_its_values() -> None:
    """An entry of `exclude` with one axis leaves out every combination with that value."""
    config = job("matrix: {axes: {a: [1, 2], b: [1, 2]}, exclude: [{a: 2}, {a: 1, b: 2}]}\n")
    assert values(config) == [("1", "1")]


def test_include_adds_a_run() -> None:
    """An entry of `include` is a further run; an axis it leaves out has its value of `variables`."""
    config = job('matrix: {axes: {lr: [1e-4]}, include: [{lr: 7, note: "x"}, {note: y}]}\n')
    assert [dict(one.variables) for one in combinations(config)] == [
        {"lr": "1e-4"},
        {"lr": "7", "note": "x"},
        {"lr": "1e-3", "note": "y"},
    ]


def test_the_same_run_is_carried_out_once() -> None:
    """A run that `include` says again is no second one."""
    config = job("matrix: {axes: {a: [1, 2]}, include: [{a: 2}]}\n")
    assert values(config) == [("1",), ("2",)]


def test_an_include_without_an_axis_is_refused_where_it_stands() -> None:
    """Without a value to fall back on the place of the entry is named."""
    with pytest.raises(InvalidInput) as caught:
        combinations(job("matrix:\n  axes: {a: [1]}\n  include:\n  - {note: x}\n"))
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.where)) == ("missing-axis", "job.yaml:11:5")


def test_a_variable_that_nothing_declares_is_refused() -> None:
    """`include` cannot set what no template could have meant; the near miss is named."""
    with pytest.raises(InvalidInput) as caught:
        job("matrix:\n  axes: {seed: [1]}\n  include:\n  - {seed: 2, nots: x}\n")
    (found,) = caught.value.diagnostics
    assert (found.code, found.suggestion) == ("undeclared-variable", "note")


def test_nothing_left_is_refused() -> None:
    """A sweep of which `exclude` leaves nothing has no run."""
    with pytest.raises(InvalidInput) as caught:
        combinations(job("matrix: {axes: {a: [1]}, exclude: [{a: 1}]}\n"))
    assert caught.value.diagnostics[0].code == "empty-sweep"


def test_the_command_line_settles_an_axis() -> None:
    """`--var a=2` keeps the runs with that value, also one that the axis does not list."""
    matrix = "matrix: {axes: {a: [1, 2], b: [1, 2]}}\n"
    assert values(job(matrix, a="2")) == [("2", "1"), ("2", "2")]
    assert values(job(matrix, a="9", b="1")) == [("9", "1")]


def test_one_run_of_a_sweep_knows_which_it_is() -> None:
    """With all axes settled the plan of one run is made, and holds how the sweep is carried out."""
    matrix = "matrix: {axes: {a: [1], b: [2]}, max_parallel: 3, fail_fast: true}\n"
    shard = shard_of(job(matrix, a="1", b="2", note="z"))
    assert shard is not None
    assert (shard.name, dict(shard.values)) == ("a=1_b=2", {"a": "1", "b": "2"})
    assert (shard.max_parallel, shard.fail_fast, shard.cap_usd) == (3, True, None)


def test_a_sweep_is_no_run() -> None:
    """What is about one run asks for a value of each axis that has none."""
    with pytest.raises(InvalidInput) as caught:
        shard_of(job("matrix: {axes: {a: [1], b: [2]}}\n", a="1"))
    assert "`b`" in caught.value.message
    assert caught.value.help is not None
    assert "--var b=2" in caught.value.help


def test_a_job_without_matrix_is_no_shard() -> None:
    """An ordinary job has no combinations."""
    assert combinations(job("")) == ()
    assert shard_of(job("")) is None


@pytest.mark.parametrize(
    "value", ["a/b", "../..", "x" * 300, "ü", "a b", "-", "a\nb", "", "con:aux", "-.-"]
)
def test_names_are_fit_for_folders(value: str) -> None:
    """Whatever a value holds, the name is a short plain file name, and another one's differs."""
    from json import dumps  # noqa: PLC0415 - quotes for YAML

    names = {
        one.name for one in combinations(job(f"matrix: {{axes: {{a: [{dumps(value)}, b]}}}}\n"))
    }
    assert len(names) == 2
    for name in names:
        assert Path(name).name == name
        assert len(name) <= 60
        assert name.isascii()
        assert name.startswith("a")


def test_values_that_look_alike_have_names_of_their_own() -> None:
    """`a/b` and `a-b` would both become `a-b`."""
    names = [one.name for one in combinations(job('matrix: {axes: {a: ["a/b", "a-b", "a b"]}}\n'))]
    assert len(set(names)) == 3


def test_an_axis_may_be_set_although_it_is_no_variable() -> None:
    """`--var` takes the names of axes; any other undeclared name is refused as ever."""
    with pytest.raises(InvalidInput):
        job("matrix: {axes: {a: [1]}}\n", other="1")
    assert job("matrix: {axes: {a: [1]}}\n", a="1").variables["a"] == "1"


def sends(to: str) -> tuple[JobConfig, tuple[JobConfig, ...]]:
    """Return a sweep over two axes whose results go there, and the jobs of its runs."""
    config = job(
        f"artifacts: [{{label: r, remote_path: /x, upload: '{to}'}}]\n"
        "matrix: {axes: {lr: [1, 2], seed: [1, 2]}}\n"
    )
    return config, each_config(config)


@pytest.mark.parametrize(
    "path", ["{{ run_id }}", "all/{{ pod_id }}/x", "{{ lr }}/{{ seed }}", "a-{{ seed }}-{{ lr }}"]
)
def test_runs_with_places_of_their_own_may_upload(path: str) -> None:
    """What is different for each run, known yet or not, keeps their results apart."""
    refuse_shared_places(*sends(f"s3://bucket/{path}"))


@pytest.mark.parametrize("path", ["all", "{{ lr }}", "{{ seed }}/{{ note }}{{ volume_mount }}"])
def test_runs_that_upload_to_one_place_are_refused(path: str) -> None:
    """One axis of two does not keep four runs apart."""
    with pytest.raises(InvalidInput) as error:
        refuse_shared_places(*sends(f"s3://bucket/{path}"))
    assert ["upload-sweep"] == [one.code for one in error.value.diagnostics]


def test_a_run_whose_place_is_within_that_of_another_is_refused() -> None:
    """A path that ends where another goes on is one place too."""
    config = job(
        "artifacts: [{label: r, remote_path: /x, upload: 's3://bucket/a{{ sub }}'}]\n"
        "matrix: {axes: {sub: ['/b', '']}}\n"
    )
    with pytest.raises(InvalidInput, match="1 error"):
        refuse_shared_places(config, each_config(config))
