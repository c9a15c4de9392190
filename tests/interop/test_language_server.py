"""An editor that reads the job file's first line: yaml-language-server, driven over LSP."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.language_server import Document, LanguageServer

SERVER = Path(__file__).parent / "editor" / "node_modules" / ".bin" / "yaml-language-server"

pytestmark = [
    pytest.mark.interop,
    # In CI a missing server is a failure: see `served`.
    pytest.mark.skipif(
        not SERVER.exists() and "CI" not in os.environ,
        reason="needs yaml-language-server: `make editor-tools` installs it",
    ),
]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `init` leaves it."""
    folder = tmp_path_factory.mktemp("editor")
    subprocess.run(
        [sys.executable, "-m", "runpod_deploy", "init", str(folder), "--template", "train"],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="session")
def server(project: Path) -> Iterator[LanguageServer]:
    """The language server with that project open."""
    node = shutil.which("node")
    assert node is not None, "node is not installed"
    assert SERVER.exists(), "yaml-language-server is not installed: make editor-tools"
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with LanguageServer([node, str(SERVER.resolve()), "--stdio"], project, env) as started:
        yield started


@pytest.fixture
def edited(server: LanguageServer, project: Path, request: pytest.FixtureRequest) -> Document:
    """The project's job file after an edit: the test's parameters say what becomes what."""
    text = (project / "job.yaml").read_text("utf-8")
    for old, new in getattr(request, "param", {}).items():
        assert old in text
        text = text.replace(old, new, 1)
    return server.open(f"{request.node.name}.yaml", text)


def test_a_starter_file_has_no_findings(edited: Document) -> None:
    """The schema beside the file is found by its first line, and the file is right."""
    assert [] == edited.diagnostics


@pytest.mark.parametrize(
    "edited",
    [{"cloud_type: ANY": "cloudtype: ANY", "on_success: delete": "on_success: destroy"}],
    indirect=True,
    ids=["edited"],
)
def test_what_is_wrong_is_underlined_where_it_stands(edited: Document) -> None:
    """A wrong key and a wrong value are marked themselves, the value with those that there are."""
    (key, about_key), (value, about_value) = edited.diagnostics

    assert ("cloudtype", "Property cloudtype is not allowed.") == (key, about_key)
    assert "destroy" == value
    for known in ("delete", "stop", "preserve"):
        assert f'"{known}"' in about_value


@pytest.mark.parametrize(
    "edited",
    [{"NVIDIA GeForce RTX 4090": "NVIDIA X900 of next year"}],
    indirect=True,
    ids=["edited"],
)
def test_a_gpu_of_tomorrow_is_no_error(edited: Document) -> None:
    """GPU ids are an open list: the editor marks no id as wrong."""
    assert [] == edited.diagnostics


@pytest.mark.parametrize(
    "edited", [{"    - NVIDIA RTX A5000\n": "    - \n"}], indirect=True, ids=["edited"]
)
def test_gpu_ids_complete_with_memory_and_price(edited: Document) -> None:
    """Each GPU type is offered with its memory, and with its price where it is known."""
    offered = edited.completions(after="their prices\n    - ")

    assert "NVIDIA H100 80GB HBM3" in offered
    assert offered["NVIDIA GeForce RTX 4090"].startswith("24 GB. Secure Cloud ")
    assert "USD per GPU and hour" in offered["NVIDIA GeForce RTX 4090"]
    assert len(offered) > 30


@pytest.mark.parametrize(
    "edited",
    [{"  cloud_type: ANY": "  datacenters:\n    - \n  cloud_type: ANY"}],
    indirect=True,
    ids=["edited"],
)
def test_data_centers_complete_with_their_place(edited: Document) -> None:
    """Each data center is offered with its region and whether volumes can be had there."""
    offered = edited.completions(after="datacenters:\n    - ")

    assert offered["EU-RO-1"].startswith("Europe. Network volumes")
    assert len(offered) > 30


@pytest.mark.parametrize(
    "edited", [{"on_success: delete": "on_success: "}], indirect=True, ids=["edited"]
)
def test_lifecycle_values_complete_with_what_they_do(edited: Document) -> None:
    """The values of `on_success` are offered, each with what it means for the bill."""
    offered = edited.completions(after="on_success: ")

    assert {"delete", "stop", "preserve"} <= set(offered)
    assert "Nothing more is billed" in offered["delete"]


@pytest.mark.parametrize(
    "edited", [{"  cloud_type: ANY": "  \n  cloud_type: ANY"}], indirect=True, ids=["edited"]
)
def test_keys_that_are_not_there_yet_complete(edited: Document) -> None:
    """Inside a section its other keys are offered with description and default."""
    offered = edited.completions(after="NVIDIA GeForce RTX 4090\n  ")

    assert "cloud_type" not in offered
    assert offered["gpu_count"].startswith("How many GPUs the pod has.")
    assert "Default: `1`" in offered["gpu_count"]


@pytest.mark.parametrize(
    ("at", "parts"),
    [
        ("container_disk_gb", ["in GB", "Default: `20`", "Limits: 1 to 100,000.", "Example:"]),
        ("cloud_type", ["Default: `SECURE`", "`COMMUNITY`: ", "Example:\n\n```yaml\nANY\n```"]),
        ("max_price_per_hour_usd", ["Not set by default.", "```yaml\n2.5\n```"]),
        ("on_failure", ["Not set by default.", "`stop`: Stop the pod", "Example:"]),
        ("staging:", ["What is sent to the pod", "Default: `[]`", "source: "]),
        ("NVIDIA RTX A5000", ["24 GB. Secure Cloud "]),
    ],
)
def test_a_hover_tells_default_limits_and_an_example(
    edited: Document, at: str, parts: list[str]
) -> None:
    """With the pointer at a key: its description, default, range, values and an example."""
    said = edited.hover(at)

    assert [] == [part for part in parts if part not in said]
    assert "\\`" not in said
