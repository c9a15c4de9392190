"""The data file: one digit per line, its label, a comma, and 64 pixels as hex digits."""

import random
import re
from pathlib import Path
from typing import NamedTuple

SIDE = 8
CLASSES = 10
_DARKEST = 15
_LINE = re.compile(rf"([0-9]),([0-9a-f]{{{SIDE**2}}})")


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
        match = _LINE.fullmatch(line)
        if match is None:
            message = f"{path}:{number}: expected a label, a comma and {SIDE**2} hex digits"
            raise ValueError(message)
        pixels = [int(pixel, 16) / _DARKEST for pixel in match[2]]
        samples.append(Sample(int(match[1]), pixels))
    return samples


def split(
    samples: list[Sample], *, seed: int, held_out: float = 0.2
) -> tuple[list[Sample], list[Sample]]:
    """Shuffle by `seed` and return (train, test); `held_out` is the test share."""
    shuffled = samples[:]
    random.Random(seed).shuffle(shuffled)
    cut = round(len(shuffled) * held_out)
    return shuffled[cut:], shuffled[:cut]
