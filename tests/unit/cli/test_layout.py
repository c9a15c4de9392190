"""Text in lines that fit."""

from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.cli.layout import flow

NAMES = st.lists(st.text("abc.", min_size=1, max_size=12), min_size=1, max_size=12)


@given(names=NAMES, room=st.integers(13, 30))
def test_items_in_lines_fit_and_are_all_there(names: list[str], room: int) -> None:
    """A line that another one follows has room for its comma, too."""
    lines = flow(names, room)

    assert all(len(one) <= room for one in lines)
    assert " ".join(lines) == ", ".join(names)
