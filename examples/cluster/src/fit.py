"""Fits a line to points of which every node has a part: gradients are summed over all nodes in each step."""

import argparse
import json
import random
from pathlib import Path

from rendezvous import Rendezvous

SLOPE, OFFSET, POINTS = 2.5, -1.0, 200


def own_points(rank: int) -> list[tuple[float, float]]:
    """Return the points that this node has, and no other."""
    dice = random.Random(rank)
    xs = [dice.uniform(-1, 1) for _ in range(POINTS)]
    return [(x, SLOPE * x + OFFSET + dice.gauss(0, 0.05)) for x in xs]


def main() -> None:
    """Train, and write what came of it on this node."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    slope = offset = 0.0
    with Rendezvous() as all_nodes:
        points = own_points(all_nodes.rank)
        print(f"node {all_nodes.rank} of {all_nodes.nodes} has {len(points)} points", flush=True)
        for step in range(asked.steps):
            errors = [(slope * x + offset - y, x) for x, y in points]
            squares, by_slope, by_offset, count = all_nodes.sum(
                [
                    sum(error * error for error, _ in errors),
                    sum(error * x for error, x in errors),
                    sum(error for error, _ in errors),
                    len(errors),
                ]
            )
            slope -= by_slope / count
            offset -= by_offset / count
            if step % 20 == 0:
                print(f"step {step} loss {squares / count:.5f}", flush=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    result = {
        "rank": all_nodes.rank,
        "nodes": all_nodes.nodes,
        "slope": slope,
        "offset": offset,
        "loss": squares / count,
    }
    (asked.out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"slope {slope:.3f} offset {offset:.3f}", flush=True)


if __name__ == "__main__":
    main()
