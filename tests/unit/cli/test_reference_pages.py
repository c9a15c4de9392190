"""The reference pages say what schemas and commands say."""

import runpy
from pathlib import Path

import pytest
import typer

from runpod_deploy.cli.app import build

ROOT = Path(__file__).parents[3]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "write-reference-pages"))
PAGES: dict[str, str] = SCRIPT["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    """Each page is what `make reference` writes."""
    assert (ROOT / "docs" / "reference" / name).read_text("utf-8") == PAGES[name]


def test_every_command_and_flag_is_on_the_page() -> None:
    """Nobody has to guess a flag: each stands below its command."""
    for name, command in SCRIPT["commands"](typer.main.get_command(build())):
        _, _, below = PAGES["command-line.md"].partition(f"\n## {name}\n")
        block = below.partition("\n## ")[0]
        for param in command.params:
            for flag in getattr(param, "opts", ()):
                assert not flag.startswith("--") or flag in block, (name, flag)


@pytest.mark.parametrize(
    ("page", "document"), [("job-file.md", "job"), ("job-file-v2.md", "job.v2")]
)
def test_every_key_of_a_job_file_is_on_the_page(page: str, document: str) -> None:
    """Each key has a heading of its own, by its whole name, with an example below it."""
    root = SCRIPT["document_of"](document)
    names = [key for key, _ in SCRIPT["leaves"](root, root)]
    for path, section in SCRIPT["sections"](root, root):
        names += [f"{path}.{key}" for key, _ in SCRIPT["leaves"](section, root)]

    assert len(names) == len(set(names)) >= 70
    for name in names:
        _, found, below = PAGES[page].partition(f"\n### {name}\n")
        assert found, name
        assert "```yaml\n" in below.partition("\n#")[0], name


def test_the_links_of_the_index_lead_to_the_pages() -> None:
    """Whoever looks for a key finds the page from the index."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")

    assert [name for name in PAGES if f"(reference/{name})" not in index] == []
