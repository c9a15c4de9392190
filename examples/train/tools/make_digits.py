"""Draw the data set: digits written by an unsteady hand, 8x8 pixels of 16 shades.

    python3 tools/make_digits.py > data/digits.csv

Each line depends on its own number only, so that the file is the same wherever it is made.
"""

import math
import random
from collections.abc import Iterator

COUNT = 2400
SIDE = 8
PEN = 0.075
NOISE = 0.08

# Strokes in the unit square, y downwards: an arc (centre x, y, radii x, y, from, to in degrees)
# or a line through points.
ARCS = {
    0: [(0.5, 0.5, 0.26, 0.38, 0, 360)],
    2: [(0.5, 0.32, 0.24, 0.21, 180, 385)],
    3: [(0.48, 0.31, 0.22, 0.19, 200, 440), (0.48, 0.69, 0.25, 0.2, 280, 520)],
    5: [(0.47, 0.65, 0.26, 0.23, 235, 510)],
    6: [(0.5, 0.66, 0.23, 0.21, 0, 360)],
    8: [(0.5, 0.31, 0.2, 0.18, 0, 360), (0.5, 0.69, 0.25, 0.2, 0, 360)],
    9: [(0.5, 0.34, 0.23, 0.21, 0, 360)],
}
LINES = {
    1: [((0.36, 0.28), (0.54, 0.12), (0.54, 0.88))],
    2: [((0.72, 0.41), (0.27, 0.87), (0.76, 0.87))],
    4: [((0.62, 0.88), (0.62, 0.12), (0.24, 0.64), (0.8, 0.64))],
    5: [((0.72, 0.13), (0.34, 0.13), (0.32, 0.46))],
    6: [((0.62, 0.12), (0.36, 0.4), (0.27, 0.66))],
    7: [((0.24, 0.14), (0.76, 0.14), (0.42, 0.88))],
    9: [((0.73, 0.34), (0.66, 0.62), (0.48, 0.88))],
}

Point = tuple[float, float]


def strokes(digit: int) -> Iterator[Point]:
    """Yield points along the pen's way, about 0.04 apart."""
    for x, y, rx, ry, start, end in ARCS.get(digit, ()):
        for degrees in range(start, end, 9):
            angle = math.radians(degrees)
            yield x + rx * math.cos(angle), y + ry * math.sin(angle)
    for line in LINES.get(digit, ()):
        for (x0, y0), (x1, y1) in zip(line, line[1:]):
            steps = max(1, round(math.hypot(x1 - x0, y1 - y0) / 0.04))
            for step in range(steps + 1):
                yield x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps


def bend(points: Iterator[Point], rng: random.Random) -> list[Point]:
    """Turn, slant, stretch, shift and shake the points, as handwriting does."""
    angle, slant = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
    wide, high = rng.uniform(0.7, 1.1), rng.uniform(0.75, 1.1)
    right, down = rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1)
    wave, phase = rng.uniform(0.0, 0.05), rng.uniform(0.0, math.tau)
    bent = []
    for x, y in points:
        u, v = (x - 0.5) * wide, (y - 0.5) * high
        u += slant * v + wave * math.sin(7.0 * v + phase)
        v += wave * math.sin(7.0 * u + phase)
        bent.append(
            (
                0.5 + right + u * math.cos(angle) - v * math.sin(angle),
                0.5 + down + u * math.sin(angle) + v * math.cos(angle),
            )
        )
    return bent


def shade(x: float, y: float, ink: list[Point], rng: random.Random) -> int:
    """Return the grey of one pixel, 0 to 15: near the pen's way it is dark, and paper has grain."""
    nearest = min((x - u) ** 2 + (y - v) ** 2 for u, v in ink)
    grey = math.exp(-nearest / (2.0 * PEN**2)) + rng.uniform(-NOISE, NOISE)
    return min(15, max(0, round(15 * grey)))


def row(index: int) -> str:
    """Return line `index` of the file: the label, a comma and 64 hex digits."""
    digit = index % 10
    rng = random.Random(f"digits:{index}")
    ink = bend(strokes(digit), rng)
    centres = [(at + 0.5) / SIDE for at in range(SIDE)]
    return f"{digit}," + "".join(f"{shade(x, y, ink, rng):x}" for y in centres for x in centres)


if __name__ == "__main__":
    for number in range(COUNT):
        print(row(number))
