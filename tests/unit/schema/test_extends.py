"""A job file laid over the files it extends: what is merged, where it stands, what is refused."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from job_documents import FULL
from runpod_deploy.cli.diagnostics import render_json, render_text
from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.schema.extends import MAX_FILES
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import load, load_bytes
from runpod_deploy.schema.validate import job_schema

BASE = """\
schema_version: 3
name: base
variables: {seed: 0, lr: "1e-4"}
pod:
  gpu_order: [NVIDIA L4, NVIDIA A40]
  image: a:1
  env: {A: 1.10, B: x}
run: {body: "true"}
budget: {cost_cap_usd: 25}
"""
SECRET = "hunter2-is-the-password"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a repository with a base file, and a secret beside the repository."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / "base.yaml").write_text(BASE)
    (tmp_path / "secret.yaml").write_text(f"password: {SECRET}\n")
    return root


def loaded(folder: Path, text: str, **options: Any) -> JobConfig:
    """Return the job of a file in `folder` that says `text`."""
    (folder / "job.yaml").write_text(text)
    return load(folder / "job.yaml", display="job.yaml", **options)


def refused(folder: Path, text: str, **options: Any) -> tuple[Diagnostic, ...]:
    """Return why that file is refused."""
    with pytest.raises(InvalidInput) as caught:
        loaded(folder, text, **options)
    return caught.value.diagnostics


def test_mappings_are_merged_and_all_else_is_replaced(project: Path) -> None:
    """Keys of both files are there, the upper file's win, and a list stands for the whole list."""
    config = loaded(
        project,
        "extends: base.yaml\nname: top\nvariables: {seed: 7}\n"
        "pod: {gpu_order: [NVIDIA L40], env: {B: y, C: 3}}\n",
    )

    assert config.name == "top"
    assert config.variables == {"seed": "7", "lr": "1e-4"}
    assert config.pod.gpu_order == ("NVIDIA L40",)
    assert config.pod.env == {"A": "1.10", "B": "y", "C": "3"}
    assert config.budget.cost_cap_usd == 25


def test_a_written_null_takes_a_key_away(project: Path) -> None:
    """`null` takes away what the lower file says, and an empty value is still an error."""
    config = loaded(project, "extends: base.yaml\nbudget: null\nrun: {body: ~, script: a.sh}\n")

    assert config.budget.cost_cap_usd == 10.0
    assert (config.run.body, config.run.script) == (None, "a.sh")
    (one,) = refused(project, "extends: base.yaml\nrun:\n  body:\n")
    assert (one.code, str(one.where)) == ("wrong-type", "job.yaml:3:3")


def test_null_means_the_default_everywhere() -> None:
    """No key takes null for anything else than what it means when it is not said."""

    def nullable(rule: Any) -> Any:
        for below in rule.values() if isinstance(rule, dict) else ():
            if isinstance(below, dict) and "null" in below.get("type", ()):
                yield below
            yield from nullable(below)

    found = list(nullable(job_schema()))

    assert found
    assert [one for one in found if one.get("default", 0) is not None] == []


def test_a_file_may_extend_nothing(project: Path) -> None:
    """`extends: null` is as good as no key at all."""
    assert loaded(project, f"extends: null\n{BASE}").name == "base"


def test_paths_follow_each_file_through_folders(project: Path) -> None:
    """Each path counts from the folder of the file that says it, over several files."""
    (project / "shared").mkdir()
    (project / "jobs").mkdir()
    (project / "shared" / "gpu.yml").write_text("extends: ../base.yaml\npod: {gpu_count: 2}\n")

    config = loaded(project / "jobs", "extends: ../shared/gpu.yml\nname: top\n")

    assert (config.name, config.pod.gpu_count, config.pod.image) == ("top", 2, "a:1")


def test_a_whole_file_over_a_whole_file_is_the_upper_one(project: Path) -> None:
    """What both files say is the upper file's, for every key there is."""
    upper = FULL | {"extends": "base.yaml"}
    (project / "base.yaml").write_text(yaml.safe_dump(FULL | {"name": "lower"}))

    assert loaded(project, yaml.safe_dump(upper)) == loaded(project, yaml.safe_dump(FULL))


def test_places_name_the_file_a_value_stands_in(project: Path) -> None:
    """A value, its key, a line of its text, and a section of both files are found where they are."""
    body = "\n  body: |\n    a\n    b"
    (project / "base.yaml").write_text(BASE.replace(' {body: "true"}', body))

    source = loaded(project, "extends: base.yaml\nname: top\npod:\n  gpu_count: 2\n").source

    assert str(source.locate("/name")) == "job.yaml:2:7"
    assert str(source.locate("/pod/gpu_count")) == "job.yaml:4:14"
    assert str(source.locate_key("/pod")) == "job.yaml:3:1"
    assert str(source.locate("/pod/image")) == "base.yaml:6:10"
    assert str(source.locate_key("/pod/env/B")) == "base.yaml:7:18"
    assert str(source.locate_text("/run/body", 2, 1)) == "base.yaml:11:5"
    assert source.line(source.locate("/pod/image")) == "  image: a:1"


def test_what_is_wrong_in_both_files_is_told_at_once(project: Path) -> None:
    """Findings of all files come together, those of the file that was named first."""
    (project / "base.yaml").write_text(BASE.replace("image: a:1", "imge: a:1"))

    found = refused(project, "extends: base.yaml\npod: {gpu_count: two}\n")

    assert [(one.code, str(one.where)) for one in found] == [
        ("missing-key", "job.yaml:2:1"),
        ("wrong-type", "job.yaml:2:18"),
        ("unknown-key", "base.yaml:6:3"),
    ]
    assert found[2].source_line == "  imge: a:1"


REFUSED = {
    "missing": ("extends: bsae.yaml", "missing-file"),
    "absolute": ("extends: /etc/passwd", "absolute-path"),
    "home": ("extends: ~/.aws/credentials", "absolute-path"),
    "outside": ("extends: ../secret.yaml", "path-outside"),
    "outside and missing": ("extends: ../nowhere.yaml", "path-outside"),
    "link out": ("extends: link.yaml", "path-outside"),
    "folder link out": ("extends: out/secret.yaml", "path-outside"),
    "link to no YAML": ("extends: env.yaml", "not-a-job-file"),
    "not YAML by name": ("extends: .env", "not-a-job-file"),
    "git's own": ("extends: .git/x.yaml", "not-a-job-file"),
    "empty": ("extends: ''", "not-a-job-file"),
    "list": ("extends: [base.yaml]", "wrong-type"),
    "number": ("extends: 3", "wrong-type"),
    "template": ('extends: "{{ seed }}.yaml"', "bad-extends"),
    "folder": ("extends: dir.yaml", "not-a-file"),
    "pipe": ("extends: pipe.yaml", "not-a-file"),
    "link of itself": ("extends: loop.yaml", "unreadable-file"),
    "itself": ("extends: job.yaml", "extends-itself"),
    "itself by a detour": ("extends: sub/../job.yaml", "extends-itself"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_the_key_that_says_it(project: Path, name: str) -> None:
    """A file that may not or cannot be extended is refused where it is named, and not shown."""
    text, code = REFUSED[name]
    (project / ".env").write_text(f"PASSWORD={SECRET}: :\n")
    (project / ".git" / "x.yaml").write_text(f"PASSWORD={SECRET}: :\n")
    (project / "dir.yaml").mkdir()
    (project / "sub").mkdir()
    os.mkfifo(project / "pipe.yaml")
    (project / "link.yaml").symlink_to(project.parent / "secret.yaml")
    (project / "env.yaml").symlink_to(".env")
    (project / "out").symlink_to(project.parent)
    (project / "loop.yaml").symlink_to("loop.yaml")

    found = refused(project, f"name: a\n{text}\n")

    assert [(one.code, str(one.where)) for one in found] == [(code, "job.yaml:2:10")]
    assert SECRET not in render_text(found, color=False) + str(render_json(found))


def test_a_missing_file_has_a_near_miss(project: Path) -> None:
    """A misspelt name is answered with the file that was probably meant, as it is to be written."""
    (project / "jobs").mkdir()

    (one,) = refused(project / "jobs", "extends: ../bsae.yaml\n")

    assert one.suggestion == "../base.yaml"


def test_more_is_allowed_by_the_command_line_only(project: Path) -> None:
    """A folder that the user allows may be read, and a bad key of a file there has its place."""
    found = refused(project, "extends: ../secret.yaml\n", allow_paths=[project.parent])

    assert ("unknown-key", "../secret.yaml:1:1") in [(one.code, str(one.where)) for one in found]


def test_circles_are_told_whole_in_the_file_that_closes_them(project: Path) -> None:
    """The file whose `extends` leads back is where the circle is told, with all names in it."""
    (project / "base.yaml").write_text("a: 1\nextends: b.yaml\n")
    (project / "b.yaml").write_text("extends: ./base.yaml\n")

    (one,) = refused(project, "extends: base.yaml\n")

    assert (one.code, str(one.where)) == ("extends-itself", "b.yaml:1:10")
    assert "`base.yaml` extends `b.yaml` extends `base.yaml`" in one.detail


def test_a_chain_has_an_end(project: Path) -> None:
    """So many files may build on one another, and one more may not."""
    for number in range(1, MAX_FILES):
        (project / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    (project / f"{MAX_FILES - 1}.yaml").write_text(BASE)
    assert loaded(project, "extends: 1.yaml\n").name == "base"

    (project / f"{MAX_FILES - 1}.yaml").write_text(f"extends: {MAX_FILES}.yaml\n")
    (one,) = refused(project, "extends: 1.yaml\n")

    assert (one.code, str(one.where)) == ("too-deep", f"{MAX_FILES - 1}.yaml:1:10")


def test_bounds_hold_for_all_files_together(project: Path) -> None:
    """Neither many large files nor many large values get by when they come in several files."""
    (project / "base.yaml").write_text("#" * 2**20)
    (one,) = refused(project, "extends: base.yaml\n")
    assert (one.code, str(one.where)) == ("file-too-large", "job.yaml:1:10")

    heavy = "{0}: &x [" + "a," * 1000 + "]\n{0}2: [" + "*x," * 40 + "]\n"
    (project / "base.yaml").write_text(heavy.format("a"))
    (one,) = refused(project, "extends: base.yaml\n" + heavy.format("b"))
    assert (one.code, str(one.where)) == ("too-many-values", "job.yaml:1:1")


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: [1\n", "yaml-syntax", "base.yaml:1:5"),
        ("name: a\nname: b\n", "duplicate-key", "base.yaml:2:1"),
        ("- a\n", "wrong-type", "base.yaml:1:1"),
        ("", "empty-file", "base.yaml:1:1"),
        ("name: a\nschema_version: 2\n", "other-version", "base.yaml:2:17"),
    ],
)
def test_a_bad_file_is_told_in_its_own_lines(
    project: Path, text: str, code: str, place: str
) -> None:
    """What is wrong with the lower file is told at its place there."""
    (project / "base.yaml").write_text(text)

    found = refused(project, f"{BASE}extends: base.yaml\n")

    assert [(one.code, str(one.where)) for one in found] == [(code, place)]


def test_version_2_extends_nothing(project: Path) -> None:
    """In a file of version 2 the key is one of version 3, and the other file is not read."""
    found = refused(project, "schema_version: 2\nextends: nowhere.yaml\nname: a\n")

    assert ("newer-key", "job.yaml:2:1") in [(one.code, str(one.where)) for one in found]


def test_a_file_that_extends_is_of_version_3(project: Path) -> None:
    """A file that says `extends` and no version is not taken for version 2."""
    (project / "base.yaml").write_text(BASE.replace("schema_version: 3\n", ""))

    found = refused(project, "extends: base.yaml\n")

    assert [(one.code, str(one.where)) for one in found] == [("missing-key", "job.yaml:1:1")]


def test_both_of_two_exclusive_keys_are_told_in_the_upper_file(project: Path) -> None:
    """When the files together say too much, the place is where it can be mended."""
    (project / "base.yaml").rename(project / "z.yaml")

    (one,) = refused(project, "extends: z.yaml\nrun: {script: a.sh}\n")

    assert (one.code, str(one.where)) == ("exclusive-keys", "job.yaml:2:7")


class Revision:
    """The files of another revision, by path relative to the job file's folder."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        """Return a file."""
        self.asked.append(path)
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path].encode()


def test_another_revision_is_read_through_a_function() -> None:
    """`load_bytes` asks for each file by its path from the job file's folder, and names it in full."""
    revision = Revision({"../base.yaml": "extends: gpu/l4.yaml\n", "../gpu/l4.yaml": BASE})
    raw = b"extends: ../base.yaml\nname: top\n"

    config = load_bytes(raw, display="main:jobs/job.yaml", read_base=revision)

    assert config.name == "top"
    assert revision.asked == ["../base.yaml", "../gpu/l4.yaml"]
    assert str(config.source.locate("/pod/image")) == "main:gpu/l4.yaml:6:10"
    with pytest.raises(InvalidInput) as caught:
        load_bytes(raw, display="main:jobs/job.yaml", read_base=Revision({}))
    assert caught.value.diagnostics[0].code == "missing-file"


def test_without_such_a_function_nothing_is_read() -> None:
    """`load_bytes` alone refuses a file that extends another."""
    with pytest.raises(InvalidInput) as caught:
        load_bytes(b"extends: base.yaml\n", display="job.yaml")

    assert [one.code for one in caught.value.diagnostics] == ["unreadable-file"]
