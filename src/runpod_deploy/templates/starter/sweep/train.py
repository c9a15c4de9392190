"""Stands in for your training: fits a line by gradient descent. Replace it, and keep the flags."""

import argparse
import json
import random
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--lr", type=float, default=1e-2)
parser.add_argument("--out", type=Path, default=Path("out"))
options = parser.parse_args()

random.seed(options.seed)
slope = offset = loss = 0.0
for _ in range(1000):
    x = random.random()
    miss = slope * x + offset - (3 * x + 1 + random.gauss(0, 0.1))
    slope -= options.lr * miss * x
    offset -= options.lr * miss
    loss = 0.99 * loss + 0.01 * miss * miss

options.out.mkdir(parents=True, exist_ok=True)
result = {"seed": options.seed, "lr": options.lr, "loss": loss, "slope": slope, "offset": offset}
(options.out / "result.json").write_text(json.dumps(result) + "\n")
print(f"seed {options.seed}, lr {options.lr:g}: loss {loss:.4f}")
