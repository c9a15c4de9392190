"""The data file: one digit per line, its label, a comma, and 64 pixels as hex digits."""

import random
from pathlib import Path
from typing import NamedTuple

SIDE = 8
CLASSES = 10
_BRIGHTEST = 15


class Sample(NamedTuple):
    """One picture: `pixels` row by row from the top left, each from 0.0 (paper) to 1.0 (ink)."""

    label: int
    pixels: list[float]


def load(path: Path) -> list[Sample]:
    """Read every sample of the file.

    Raises:
        ValueError: A line is not a label, a comma and 64 hex digits; names file and line.
    """
    samples = []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        label, comma, pixels = line.partition(",")
        if not (comma and label.isdecimal() and int(label) < CLASSES and len(pixels) == SIDE**2):
            message = f"{path}:{number}: expected a label, a comma and {SIDE**2} hex digits"
            raise ValueError(message)
        samples.append(Sample(int(label), [int(pixel, 16) / _BRIGHTEST for pixel in pixels]))
    return samples


def split(
    samples: list[Sample], *, seed: int, held_out: float = 0.2
) -> tuple[list[Sample], list[Sample]]:
    """Shuffle by `seed` and return (train, test); `held_out` is the test share."""
    shuffled = samples[:]
    random.Random(seed).shuffle(shuffled)
    cut = round(len(shuffled) * held_out)
    return shuffled[cut:], shuffled[:cut]
