"""`plan --against` and `plan diff`: what is compared, how it is written, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def saved(project: Path, call: Call) -> Path:
    """A project whose plan was saved before its cap, its image and its script changed."""
    assert 0 == call("plan", "job.yaml", "-o", "old.json")[0]
    text = (project / "job.yaml").read_text()
    text = text.replace("cost_cap_usd: 0.25", "cost_cap_usd: 4")
    (project / "job.yaml").write_text(text.replace('echo "seed', 'echo "the seed'))
    return project


@pytest.mark.usefixtures("saved")
def test_the_terminal_tells_cost_first_and_scripts_as_a_diff(call: Call) -> None:
    """Both sides of a value stand in one line, the text of a script as a unified diff."""
    status, out, err = call("plan", "job.yaml", "--against", "old.json")
    assert (0, "") == (status, err)
    assert out.index("$0.25 → $4.00") < out.index("Hardware") < out.index('-echo "seed 7"')
    assert '+echo "the seed 7"' in out
    assert "Changes cost: 1 value, scripts: 1 text" in out


def test_the_exit_status_tells_the_change(saved: Path, call: Call) -> None:
    """With --detailed-exitcode 2 when something differs and 0 when not; without it always 0."""
    call("plan", "job.yaml", "-o", "new.json")
    ask = ("--detailed-exitcode", "-q")
    assert (2, "changed\n", "") == call("plan", "job.yaml", "--against", "old.json", *ask)
    assert (0, "same\n", "") == call("plan", "job.yaml", "--against", "new.json", *ask)
    assert (2, "changed\n", "") == call("plan", "diff", "old.json", "new.json", *ask)
    assert 0 == call("plan", "diff", "old.json", "new.json")[0]
    assert (saved / "new.json").is_file()


def test_a_run_folder_stands_for_its_plan(saved: Path, call: Call) -> None:
    """What a run did is compared by the plan in its folder."""
    (saved / "20260514T021200Z").mkdir()
    (saved / "old.json").rename(saved / "20260514T021200Z" / "plan.json")
    status, out, _ = call("plan", "job.yaml", "--against", "20260514T021200Z")
    assert 0 == status
    assert "against the run 20260514T021200Z" in out


@pytest.mark.usefixtures("saved")
def test_the_difference_as_data(call: Call) -> None:
    """Every changed value with both sides, and the scripts' diffs."""
    _, out, _ = call("plan", "job.yaml", "--against", "old.json", "--format", "json")
    document = json.loads(out)
    assert ("runpod-deploy.diff/1", False) == (document["format"], document["same"])
    assert {
        "section": "cost",
        "field": "budget.cost_cap_usd",
        "kind": "changed",
        "before": 0.25,
        "after": 4.0,
    } in document["values"]
    assert '+echo "the seed 7"' in document["scripts"][0]["diff"]


@pytest.mark.usefixtures("saved")
def test_the_difference_as_markdown(call: Call) -> None:
    """Cost first, then hardware, then the scripts."""
    _, out, _ = call("plan", "job.yaml", "--against", "old.json", "--format", "markdown")
    assert "| **cost at most** | `$0.25` | **`$4.00`** |" in out
    assert out.index("#### Cost") < out.index("#### Hardware") < out.index("```diff")


def test_what_is_nothing_to_compare_with(saved: Path, call: Call) -> None:
    """A file that is no plan, a name that is nothing, and a flag without its other."""
    (saved / "note.txt").write_text("hello")
    (saved / "empty").mkdir()
    assert 4 == call("plan", "diff", "old.json", "empty")[0]
    for args in (("--against", "note.txt"), ("--against", "nope"), ("--detailed-exitcode",)):
        status, out, err = call("plan", "job.yaml", *args)
        assert (4, "") == (status, out)
        assert "Traceback" not in err
    assert 4 == call("plan", "diff", "old.json")[0]


@pytest.mark.usefixtures("project")
def test_a_plan_as_markdown(call: Call) -> None:
    """The whole plan: cost, hardware, candidates, script and hash."""
    status, out, _ = call("plan", "job.yaml", "--format", "markdown")
    assert 0 == status
    for text in ("| cost at most | `$0.25, said at 90%` |", "`NVIDIA L4`", 'echo "seed 7"'):
        assert text in out
    assert "unknown: planned without asking the catalog" in out
