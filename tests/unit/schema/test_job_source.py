"""A job knows where everything in it stands, down to a character of a script."""

import itertools

import pytest

from runpod_deploy.schema.job import JobSource
from runpod_deploy.schema.load import load_bytes
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.yaml_source import read_yaml

JOB = b"""\
schema_version: 3
name: "d{{ x }}"
pod: {gpu_order: [NVIDIA L4], image: a}
setup:
  - command: >
      folded
      text
  - command: |2-

      one
        two
run:
  body: |

    first
    second {{ x }}
  workdir: /w/{{ x }}
  env:
    A: "a\\tb\\u00e9c\\nd {{ x }}"
    B: one
      two  {{ x }}

      three {{ y }}
    C: 'it''s {{ x }}'
    D: "one \\
      two {{ x }}"
"""
SOURCE: JobSource = load_bytes(JOB, display="j").source


def test_what_is_not_written_is_found_at_its_parent() -> None:
    """A default has the place of the section that could have said it."""
    assert "j:3:6" == str(SOURCE.locate("/pod/gpu_count"))
    assert "j:1:1" == str(SOURCE.locate("/budget/cost_cap_usd"))
    assert "j:3:1" == str(SOURCE.locate_key("/pod"))
    assert "j:5:5" == str(SOURCE.locate_key("/setup/0"))


@pytest.mark.parametrize(
    ("pointer", "line", "column", "place"),
    [
        ("/run/body", 2, 1, "j:15:5"),
        ("/run/body", 3, 8, "j:16:12"),
        ("/setup/1/command", 2, 1, "j:10:7"),
        ("/setup/0/command", 1, 3, "j:6:9"),
        ("/setup/0/command", 1, 8, "j:7:7"),
        ("/setup/0/command", 1, 99, "j:5:14"),
        ("/run/workdir", 1, 4, "j:17:15"),
        ("/name", 1, 2, "j:2:9"),
        ("/name", 2, 1, "j:2:7"),
        ("/run/env/A", 1, 5, "j:19:19"),
        ("/run/env/A", 2, 6, "j:19:27"),
        ("/run/env/B", 1, 5, "j:21:7"),
        ("/run/env/B", 1, 13, "j:21:15"),
        ("/run/env/B", 2, 10, "j:23:16"),
        ("/run/env/B", 2, 99, "j:20:8"),
        ("/run/env/C", 1, 9, "j:24:18"),
        ("/run/env/D", 1, 5, "j:26:7"),
    ],
)
def test_places_inside_a_text(pointer: str, line: int, column: int, place: str) -> None:
    """Every way to write a text maps to the exact character; a place beyond it to where it begins."""
    assert place == str(SOURCE.locate_text(pointer, line, column))


def test_lines_beyond_the_file_are_none() -> None:
    """A place without a line gives none."""
    place = SOURCE.locate("/name")

    assert 'name: "d{{ x }}"' == SOURCE.line(place)
    assert JobSource(path="j", positions={}, lines=()).line(place) is None


def test_the_indentation_that_a_block_says_is_not_that_of_its_first_line() -> None:
    """Blanks that belong to the text of a block with an indicator count for the column."""
    raw = JOB.replace(b"body: |\n\n    first", b"body: |2\n\n      first")
    source = load_bytes(raw, display="j").source

    assert "j:15:7" == str(source.locate_text("/run/body", 2, 3))


FOLDED = """\
schema_version: 3
setup:
- command: >2
     indented
    one {{ a }}


    two {{ b }}
- command: &same !!str >- # said

    three
    four {{ c }}
      code {{ d }}
      more

    five {{ e }}
- command: *same
- command: |4+
      six
"""


@pytest.mark.parametrize(("mark", "pure"), [(mark, pure) for mark in "abcde" for pure in (0, 1)])
def test_a_folded_block_says_where_each_character_is(mark: str, pure: int) -> None:
    """Joined lines, kept lines and empty ones: what stands in the text is found in the file."""
    source = read_yaml(FOLDED.encode(), Report(file="j"), pure=bool(pure))
    item = 0 if mark in "ab" else 1
    text = source.root.find(f"/setup/{item}/command").value
    row, content = next(
        (n, one) for n, one in enumerate(text.split("\n"), 1) if f"{{{{ {mark} }}" in one
    )
    job = JobSource(
        path="j", positions=source.positions, lines=source.lines, keys=source.key_positions
    )

    place = job.locate_text(f"/setup/{item}/command", row, content.index(f"{{{{ {mark}") + 1)

    assert job.line(place)[place.column - 1 :].startswith(f"{{{{ {mark} }}")
    assert "j:17:12" == str(job.locate_text("/setup/2/command", 1, 2))
    assert "j:19:7" == str(job.locate_text("/setup/3/command", 1, 1))


@pytest.mark.parametrize("pure", [False, True])
def test_every_character_of_a_block_is_where_the_text_has_it(pure: bool) -> None:
    """Each letter of blocks with all indicators stands in the file at the place that is told."""
    bodies = ["a\nb\n\nc\n", "a\n  b\n\n  c\n\n\nd\n", "\n\na\n\tb\nc\n", "a\n \nb\nc"]
    heads = ("k: |", "k: >", "k: |-", "k: >+", "k: |2", "k: >2-", "k:\n- |2", "k:\n- >")
    for head, body in itertools.product(heads, bodies):
        indented = "".join(f"  {one}\n" if one else "\n" for one in body.split("\n"))
        raw = f"{head}\n{indented}z: 1\n"
        source = read_yaml(raw.encode(), Report(file="j"), pure=pure)
        job = JobSource(
            path="j", positions=source.positions, lines=source.lines, keys=source.key_positions
        )
        listed = isinstance(source.data["k"], list)
        pointer, text = ("/k/0", source.data["k"][0]) if listed else ("/k", source.data["k"])
        for number, content in enumerate(text.split("\n"), 1):
            for column, letter in enumerate(content, 1):
                place = job.locate_text(pointer, number, column)
                if letter.isalpha():
                    assert letter == job.line(place)[place.column - 1], (raw, number, column)
