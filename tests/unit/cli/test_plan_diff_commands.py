"""`plan --against` and `plan diff`: what is compared, how it is written, and how it ends."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runpod_deploy.cli.diff_json import diff_document
from runpod_deploy.compiler.plan import Plan, PlanFile
from runpod_deploy.compiler.plan_diff import compare
from runpod_deploy.compiler.planfile import loads, make_plan_file
from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.plain import PlainDataError, from_plain, to_plain

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
    for text in (
        "| cost at most | `$0.25; the job is ended at 90%` |",
        "`NVIDIA L4`",
        'echo "seed 7"',
    ):
        assert text in out
    assert "unknown: planned without asking the catalog" in out


SCHEMA = Draft202012Validator(json.loads(schema_document("diff")))


def problems(document: Any) -> list[str]:
    """Return where a difference breaks the published schema."""
    return [one.message for one in SCHEMA.iter_errors(document)]


STAGED = """\
staging:
  - {label: code, source: src, destination: /root/src}
setup:
  - command: "true"
"""


def test_every_kind_of_difference_keeps_to_the_published_schema(project: Path, call: Call) -> None:
    """Values, scripts, and files that came, went, changed, moved, became links; also for a new job."""
    job = project / "job.yaml"
    source = project / "src"
    source.mkdir()
    before = job.read_text()
    job.write_text(before + STAGED)
    for name in ("changed", "moved", "removed", "linked"):
        (source / name).write_text(f"{name}\n")
    assert 0 == call("plan", "job.yaml", "-o", "old.json")[0]

    (source / "changed").write_text("anew")
    (source / "moved").rename(source / "elsewhere")
    for name in ("removed", "linked"):
        (source / name).unlink()
    (source / "linked").symlink_to("changed")
    (source / "added").touch(mode=0o755)
    other = STAGED.replace("setup:", "preflight:").replace('"true"', '"# \\u2028 x"')
    job.write_text(before.replace("cost_cap_usd: 0.25", "").replace("L4", "A40") + other)
    assert 0 == call("plan", "job.yaml", "-o", "new.json")[0]

    document = json.loads(call("plan", "diff", "old.json", "new.json", "--format", "json")[1])
    assert [] == problems(document)
    assert {"added", "changed", "moved", "removed"} == {one["kind"] for one in document["files"]}
    assert {"changed"} < {one["kind"] for one in document["values"]}
    assert {"added", "removed"} <= {one["kind"] for one in document["scripts"]}
    back = json.loads(call("plan", "diff", "new.json", "old.json", "--format", "json")[1])
    same = json.loads(call("plan", "diff", "new.json", "new.json", "--format", "json")[1])
    assert ([], []) == (problems(back), problems(same))
    new = loads((project / "new.json").read_bytes(), "new.json")
    assert [] == problems(diff_document(compare(None, new), "main"))


def test_each_changed_value_of_a_plan_keeps_to_the_published_schema(
    project: Path, call: Call
) -> None:
    """One field after the other, in both directions."""
    call("plan", "job.yaml", "-o", "old.json")
    old = loads((project / "old.json").read_bytes(), "old.json")
    seen = 0
    for plan in other_plans(old):
        new = make_plan_file(plan, old.payload, old.observed, old.plan_id)
        for one, two in ((old, new), (new, old)):
            document = diff_document(compare(one, two), "old.json")
            assert [] == problems(document)
            seen += not document["same"]
    assert seen > 150


def other_plans(plan_file: PlanFile) -> Iterator[Plan]:
    """Yield the plan with each of its values changed that may be another."""
    for data in changed(to_plain(plan_file.plan)):
        with suppress(PlainDataError):
            yield from_plain(Plan, data)


def changed(value: Any) -> Iterator[Any]:
    """Yield plain data with one thing in it changed."""
    if isinstance(value, dict):
        yield from ({**value, key: one} for key, item in value.items() for one in changed(item))
    elif isinstance(value, list) and value:
        yield value[1:]
        for index, item in enumerate(value):
            yield from ([*value[:index], one, *value[index + 1 :]] for one in changed(item))
    else:
        yield from (f"{value}x", 77, not value, None)
