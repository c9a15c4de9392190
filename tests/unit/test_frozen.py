"""Records: what a frozen dataclass promises, kept without its generated methods."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, field, fields, replace

import pytest

from runpod_deploy.frozen import frozen


@frozen
class Base:
    """What both have."""

    name: str


@frozen
class Pod(Base):
    """One with every kind of field."""

    gpus: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    key: str = field(default="k", repr=False)
    note: str = field(default="", compare=False)

    def doubled(self) -> "Pod":
        """Return one with twice the GPUs."""
        return replace(self, gpus=2 * self.gpus)


@frozen
class Shown:
    """One with a method of its own."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


def test_made_with_defaults() -> None:
    """What is left out has its default, and a made default belongs to one record alone."""
    pod, other = Pod(name="a"), Pod(name="a")
    pod.tags["x"] = "y"

    assert ("a", 1, {"x": "y"}, "k") == (pod.name, pod.gpus, pod.tags, pod.key)
    assert {} == other.tags


def test_missing_and_unknown_fields_are_named() -> None:
    """A field without a value, and a value without a field, are type errors that name it."""
    with pytest.raises(TypeError, match="Pod needs 'name'"):
        Pod(gpus=1)
    with pytest.raises(TypeError, match="Pod has no gpu, tag"):
        Pod(name="a", gpu=1, tag=2)


def test_never_changed() -> None:
    """Fields are neither set nor deleted, and there is no place for others."""
    pod = Pod(name="a")

    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'gpus'"):
        pod.gpus = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'gpus'"):
        del pod.gpus
    with pytest.raises(FrozenInstanceError):
        pod.other = 2
    assert not hasattr(pod, "__dict__")


def test_equal_by_compared_fields() -> None:
    """Records of one class are equal, with equal hashes, when the compared fields are."""
    assert Shown(name="a") == Shown(name="a")
    assert Pod(name="a", note="x") == Pod(name="a", note="y")
    assert Pod(name="a") != Pod(name="a", gpus=2)
    assert Base(name="a") != Pod(name="a")
    assert 1 == len({Shown(name="a"), Shown(name="a")})


def test_shown_as_it_would_be_written() -> None:
    """The text names class and fields, without those that are not for showing."""
    assert "Pod(name='a', gpus=1, tags={}, note='')" == repr(Pod(name="a"))
    assert "<a>" == repr(Shown(name="a"))


def test_dataclass_functions_take_it() -> None:
    """`fields`, `replace` and `asdict` work as for any dataclass."""
    pod = Pod(name="a", gpus=2, key="s", note="n")

    assert ["name", "gpus", "tags", "key", "note"] == [one.name for one in fields(pod)]
    assert Pod(name="a", gpus=4, key="s", note="n") == pod.doubled()
    assert {"name": "a", "gpus": 2, "tags": {}, "key": "s", "note": "n"} == asdict(pod)


def test_copied_and_pickled() -> None:
    """Copies, deep copies and pickles are equal to what they were made of."""
    pod = Pod(name="a", tags={"x": "y"}, note="n")

    for made in (copy.copy(pod), copy.deepcopy(pod), pickle.loads(pickle.dumps(pod))):
        assert (pod, "n") == (made, made.note)
