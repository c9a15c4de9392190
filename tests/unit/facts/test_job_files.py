"""Which YAML files of a folder count as job files."""

from pathlib import Path

import pytest

from runpod_deploy.facts.job_files import find_job_files

JOB = "schema_version: 3\nname: a\npod: {}\nrun: {}\n"


def tree(folder: Path, files: dict[str, str]) -> None:
    """Write files below `folder`."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def found(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Return jobs, parts and others, relative to `folder`."""
    files = find_job_files(folder)
    lists = (files.jobs, files.parts, files.others)
    jobs, parts, others = ([one.relative_to(folder).as_posix() for one in some] for some in lists)
    return jobs, parts, others


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (JOB, True),
        (JOB.replace("\n", "\r\n"), True),
        ("\ufeff" + JOB, True),
        ("pod: {}\nrun: {}\n", True),
        ("extends: base.yaml\n", True),
        ("extends: '../b.yml'  # shared\n", True),
        ("schema_version: 3\npod:\n\tbroken: [\n", True),
        ("schema_version: 1\ntitle: something\n", False),
        ("extends:\n  - base.yaml\n", False),
        ("services:\n  run: {}\n  pod: {}\n", False),
        ("on: push\njobs: {}\n", False),
        ("", False),
    ],
)
def test_told_by_the_outermost_keys(tmp_path: Path, text: str, counts: bool) -> None:
    """The keys at the left edge decide, so that a file that is no YAML can be a job file."""
    tree(tmp_path, {"a.yaml": text})

    assert found(tmp_path)[0] == (["a.yaml"] if counts else [])
    assert found(tmp_path)[2] == ([] if counts else ["a.yaml"])


def test_a_line_of_blanks_takes_no_time(tmp_path: Path) -> None:
    """Blanks behind `extends:` are tried in one way only; in two, this would take hours."""
    tree(tmp_path, {"a.yaml": f"extends:{' ' * 500_000}x\n"})

    assert found(tmp_path) == ([], [], ["a.yaml"])


def test_sorted_and_at_any_depth(tmp_path: Path) -> None:
    """Files of all folders are found, in the order of their paths."""
    tree(tmp_path, {"b.yml": JOB, "a/z.yaml": JOB, "a/b/c.yaml": JOB, "a/d.json": JOB})

    assert found(tmp_path) == (["a/b/c.yaml", "a/z.yaml", "b.yml"], [], [])


def test_what_is_not_looked_at(tmp_path: Path) -> None:
    """Hidden names, installed packages, results of runs and links to folders are passed by."""
    tree(
        tmp_path,
        {
            ".github/a.yaml": JOB,
            ".hidden.yaml": JOB,
            "node_modules/a.yaml": JOB,
            "env/pyvenv.cfg": "",
            "env/a.yaml": JOB,
            "artifacts/runpod/20260101T000000Z/out/a.yaml": JOB,
            "artifacts/a.yaml": JOB,
        },
    )
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "folder.yaml").mkdir()

    assert found(tmp_path) == (["artifacts/a.yaml"], [], [])


def test_a_part_is_checked_with_what_extends_it(tmp_path: Path) -> None:
    """An extended file is a job of its own only when it is whole."""
    tree(
        tmp_path,
        {
            "jobs/a.yaml": "extends: ../shared/gpu.yaml\nname: a\n",
            "jobs/b.yaml": "extends: whole.yaml\nname: b\n",
            "jobs/whole.yaml": JOB,
            "shared/gpu.yaml": "extends: low.yaml\npod: {}\n",
            "shared/low.yaml": "storage: {}\n",
            "shared/unused.yaml": "schema_version: 3\npod: {}\n",
        },
    )

    jobs, parts, others = found(tmp_path)

    assert jobs == ["jobs/a.yaml", "jobs/b.yaml", "jobs/whole.yaml", "shared/unused.yaml"]
    assert parts == ["shared/gpu.yaml", "shared/low.yaml"]
    assert others == []
