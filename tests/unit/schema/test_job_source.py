"""A job knows where everything in it stands, down to a character of a script."""

import pytest

from runpod_deploy.schema.job import JobSource
from runpod_deploy.schema.load import load_bytes

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
        ("/setup/0/command", 1, 3, "j:5:14"),
        ("/run/workdir", 1, 4, "j:17:15"),
        ("/name", 1, 2, "j:2:9"),
        ("/name", 2, 1, "j:2:7"),
    ],
)
def test_places_inside_a_text(pointer: str, line: int, column: int, place: str) -> None:
    """A literal block and a one-line text map to the exact character, others to their beginning."""
    assert place == str(SOURCE.locate_text(pointer, line, column))


def test_lines_beyond_the_file_are_none() -> None:
    """A place without a line gives none."""
    place = SOURCE.locate("/name")

    assert 'name: "d{{ x }}"' == SOURCE.line(place)
    assert JobSource(path="j", positions={}, lines=()).line(place) is None
