"""Rendering of whole jobs: names, late-bound values, and every fault at its place."""

from dataclasses import replace

import pytest

from compiler_cases import HOSTILE_SHELL, codes, from_text, job
from runpod_deploy.compiler.check import check_resolution
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import Diagnostic
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.report import MAX_DIAGNOSTICS


def found(config: JobConfig) -> tuple[Diagnostic, ...]:
    """Return the diagnostics about `config`."""
    return check_resolution(resolve(config), Facts(job_file="job.yaml"))


def test_every_section_is_rendered() -> None:
    """Variables and built-in names reach the strings of all sections."""
    config = job(
        {
            "name": "train-{{ seed }}",
            "pod": {"image": "img:{{ tag }}", "env": {"A": "{{ seed }}"}},
            "setup": [{"command": "pip install {{ job_name }}"}],
            "storage": {"mode": "ephemeral", "volume_gb": 20, "volume_mount": "/data"},
            "artifacts": [{"label": "out", "remote_path": "{{ volume_mount }}/out"}],
            "run": {"body": "echo {{ run_id }} {{ seed }}\n"},
        },
        seed="3",
        tag="v{{ seed }}",
    )

    resolved = resolve(config).config

    assert "train-3" == resolved.name
    assert "img:v3" == resolved.pod.image
    assert {"A": "3"} == resolved.pod.env
    assert "pip install train-3" == resolved.setup[0].command
    assert "/data/out" == resolved.artifacts[0].remote_path
    assert "echo @@rd:run_id@@ 3\n" == resolved.run.body
    assert {"seed": "3", "tag": "v3"} == resolved.variables


def test_variables_may_use_later_ones() -> None:
    """The order of the file does not matter, so that the command line may add to it."""
    assert {"a": "1-2", "b": "2"} == resolve(job(a="1-{{ b }}", b="2")).config.variables


@pytest.mark.parametrize("text", HOSTILE_SHELL)
def test_hostile_shell_text_passes(text: str) -> None:
    """No text of a shell is touched, in whatever section it stands."""
    plain = text.replace("{{", "{ {")
    resolution = resolve(job({"run": {"body": plain}, "setup": [{"command": plain or "x"}]}))

    assert () == resolution.findings
    assert plain == resolution.config.run.body
    assert plain == resolution.config.setup[0].command


def test_all_undefined_names_are_told_at_once_with_the_near_miss_and_the_line() -> None:
    """Each undefined name has its own diagnostic at its own line and column."""
    config = from_text(
        "schema_version: 3\n"
        "name: x-{{ job_nam }}\n"
        "variables: {learning_rate: '1'}\n"
        "pod: {image: 'runpod/base:1', gpu_order: [NVIDIA A40]}\n"
        "run:\n"
        "  body: |\n"
        "    echo one\n"
        "    echo {{ learning_rat }}\n"
        "    echo {{ run_id }} {{ other | upper }}\n"
    )

    told = [(str(d.where), d.code, d.suggestion) for d in found(config)]

    assert [
        ("job.yaml:2:12", "undefined-name", "job_name"),
        ("job.yaml:8:13", "undefined-name", "learning_rate"),
        ("job.yaml:9:26", "undefined-name", None),
    ] == told


def test_dependents_of_a_broken_variable_are_not_told_of() -> None:
    """One fault is told once, where it is."""
    config = job({"run": {"body": "{{ a }} {{ b }}"}}, a="{{ nope }}", b="{{ a }}")

    assert ["undefined-name"] == [diagnostic.code for diagnostic in found(config)]


def test_circles_of_variables_are_told() -> None:
    """Variables that need each other are refused, once."""
    told = found(job(a="{{ b }}", b="{{ a }}"))

    assert ["circular-variable"] == [diagnostic.code for diagnostic in told]
    assert "a → b → a" in told[0].detail or "b → a → b" in told[0].detail


def test_user_text_may_not_hold_the_mark() -> None:
    """The mark of late-bound values cannot be written by hand, nor built by an expression."""
    assert ["reserved-mark"] == codes(job({"run": {"body": "echo @@rd:run_id@@"}}))
    assert ["reserved-mark"] == codes(job({"run": {"body": "{{ a }}"}}, a="@@RD:x@@"))
    built = job({"run": {"body": "{{ '@@r' ~ 'd:key@@' }}"}})
    assert ["late-bound-here"] == codes(built)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ run_id | upper }}",
        "{{ run_id[:3] }}",
        "{{ 'a' if gpu_id == 'NVIDIA A40' else 'b' }}",
        "{{ alias | replace('a', 'b') }}",
        "{{ run_dir | sh }}",
    ],
)
def test_late_bound_values_cannot_be_computed_with(expression: str) -> None:
    """What is not known yet can only be put in as it is; also through a variable."""
    config = job({"run": {"body": expression}}, alias="{{ run_dir }}/x")

    assert ["late-bound-computed"] == codes(config)


@pytest.mark.parametrize(
    ("over", "pointer_line"),
    [
        ({"pod": {"image": "img:{{ run_id }}"}}, "image"),
        ({"pod": {"gpu_order": ["{{ gpu_id }}"]}}, "gpu_order"),
        ({"pod": {"datacenters": ["{{ datacenter_id }}"]}}, "datacenters"),
        ({"pod": {"env": {"A": "{{ pod_id }}"}}}, "env"),
        ({"local": {"required_paths": ["{{ run_dir }}/x"]}}, "required"),
        ({"staging": [{"label": "a", "source": "{{ run_dir }}", "destination": "/a"}]}, "source"),
        ({"secrets": [{"name": "a", "file": "{{ run_dir }}", "destination": "/a"}]}, "file"),
        ({"name": "{{ run_id }}"}, "name"),
    ],
)
def test_fields_that_are_needed_before_refuse_late_bound_values(
    over: dict[str, object], pointer_line: str
) -> None:
    """Where a value is needed while planning or creating the pod, late-bound ones are refused."""
    told = found(job(over))

    assert ["late-bound-here"] == [diagnostic.code for diagnostic in told]
    assert pointer_line in (told[0].source_line or "") or told[0].where is not None


def test_the_run_id_may_stand_in_the_pods_environment() -> None:
    """The run's id is known when the pod is created."""
    config = resolve(job({"pod": {"env": {"A": "{{ run_id }}"}}})).config

    assert {"A": "@@rd:run_id@@"} == config.pod.env


def test_runpods_secret_references_pass_in_the_pods_environment_only() -> None:
    """RunPod fills in `{{ RUNPOD_SECRET_x }}` itself, in the pod's environment."""
    config = job({"pod": {"env": {"A": "{{ RUNPOD_SECRET_key }}-{{ seed }}"}}}, seed="1")

    assert {"A": "{{ RUNPOD_SECRET_key }}-1"} == resolve(config).config.pod.env
    assert ["undefined-name"] == codes(job({"run": {"body": "{{ RUNPOD_SECRET_key }}"}}))


def test_a_name_with_a_default_need_not_be_defined() -> None:
    """A template that says what to do without a name may use it."""
    config = job({"run": {"body": "{{ x | default('y') }}{{ 'd' if z is defined else 'u' }}"}})

    assert "yu" == resolve(config).config.run.body


def test_half_characters_and_nul_are_refused() -> None:
    """What no file or command can carry is told at its place."""
    assert ["nul-character"] == [finding.code for finding in resolve(_with_body("a\0b")).findings]
    assert ["not-unicode"] == [finding.code for finding in resolve(_with_body("\ud800")).findings]


def test_an_expression_may_not_make_what_the_author_may_not_write() -> None:
    """Half characters and NUL that only a template's escape yields are refused like written ones."""
    told = [
        finding.code
        for body in ("{{ '\\x00' }}", "{{ '\\ud800' }}")
        for finding in resolve(_with_body(body)).findings
    ]

    assert ["nul-character", "not-unicode"] == told


def test_faults_without_end_are_told_up_to_a_bound() -> None:
    """A hundred thousand undefined names are a hundred findings and a note."""
    told = [finding.code for finding in resolve(_with_body("{{ nope }}" * 100_000)).findings]

    assert [*["undefined-name"] * MAX_DIAGNOSTICS, "more-findings"] == told


def _with_body(body: str) -> JobConfig:
    config = job()
    return replace(config, run=replace(config.run, body=body))
