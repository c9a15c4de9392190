"""`plan verify`: how an outcome is shown, and as data."""

from dataclasses import replace
from io import StringIO

from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.verify_command import show, verify_document
from runpod_deploy.compiler.freshness import Drift
from runpod_deploy.compiler.plan import LockfileFacts, Observed, PlanFile
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.facts.verify import Verified
from support.plans import small_plan

COMMIT = "9075d6658d8ae6f5a3bf78f97817c925d7357309"
PROVEN = Verified(
    commit=COMMIT,
    compiled_hash="sha256:" + "0" * 64,
    drifts=(),
    changes=("1 file changed, in plan.json.patch",),
    notes=("data.bin (5000 bytes) is elsewhere",),
)
REFUTED = replace(
    PROVEN,
    drifts=(
        Drift(field="payload.code.a\x1b[31m.py", planned="6 bytes", now=None, verdict="refuse"),
        Drift(field="image", planned="a:1", now="a:2", verdict="refuse"),
    ),
    notes=(),
)


def plan_file() -> PlanFile:
    """Return a plan with a lock file."""
    seen = Observed(
        compiled_at="2026-05-14T02:12:00Z",
        tool_version="1",
        lockfile=LockfileFacts(name="uv.lock", sha256="0" * 64),
    )
    return make_plan_file(small_plan(), {}, seen, "0" * 32)


def shown(result: Verified, *, quiet: bool = False) -> str:
    """Return what is written to stdout, with the plan's own hash left out."""
    out = StringIO()
    plain = Style(color=False)
    terminal = Terminal(stdout=out, stderr=StringIO(), out=plain, err=plain, quiet=quiet)
    plan = plan_file()
    show(plan, result, terminal)
    return out.getvalue().replace(plan.plan_hash, "HASH")


def test_a_proof_names_what_it_rests_on() -> None:
    """Commit, patch, lock file, and what counted on other grounds."""
    assert f"""\
Verified  HASH
  job        {plan_file().plan.job.file}
  commit     {COMMIT}
  and        1 file changed, in plan.json.patch
  lock file  uv.lock
  note: data.bin (5000 bytes) is elsewhere.
""" == shown(PROVEN)
    assert "Verified  HASH\n" == shown(PROVEN, quiet=True)


def test_a_difference_names_both_sides() -> None:
    """What the plan says and what the commit gives; foreign names do nothing to the terminal."""
    assert f"""\
Not what the commit gives  HASH
  job        {plan_file().plan.job.file}
  commit     {COMMIT}
  and        1 file changed, in plan.json.patch
  gives      sha256:{"0" * 64}
  payload.code.a\\x1b[31m.py
    planned    6 bytes
    by commit  not there
  image
    planned    a:1
    by commit  a:2
""" == shown(REFUTED)


def test_many_differences_are_cut_and_counted() -> None:
    """The JSON has all of them."""
    many = replace(REFUTED, drifts=REFUTED.drifts[1:] * 30)
    assert "  and 10 more; --json names all\n" in shown(many)
    assert 30 == len(verify_document(plan_file(), many)["differences"])


def test_an_outcome_as_data() -> None:
    """Programs read whether it holds, and each difference."""
    document = verify_document(plan_file(), REFUTED)
    assert (False, COMMIT) == (document["verified"], document["commit"])
    assert {"field": "image", "planned": "a:1", "compiled": "a:2"} == document["differences"][1]
    assert verify_document(plan_file(), PROVEN)["verified"] is True
