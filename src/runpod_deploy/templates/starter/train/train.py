"""Stands in for your training: fits a line by gradient descent. Replace it, and keep the flags."""

import argparse
import json
import random
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--out", type=Path, default=Path("out"))
options = parser.parse_args()

random.seed(options.seed)
points = [(x / 50, 3 * x / 50 + 1 + random.gauss(0, 0.1)) for x in range(100)]
slope = offset = 0.0

options.out.mkdir(parents=True, exist_ok=True)
with (options.out / "metrics.jsonl").open("w") as metrics:
    for epoch in range(1, options.epochs + 1):
        random.shuffle(points)
        loss = 0.0
        for x, y in points:
            miss = slope * x + offset - y
            slope -= 0.05 * miss * x
            offset -= 0.05 * miss
            loss += miss * miss / len(points)
        print(f"epoch {epoch}/{options.epochs}  loss {loss:.4f}", flush=True)
        metrics.write(json.dumps({"epoch": epoch, "loss": loss}) + "\n")

model = {"slope": slope, "offset": offset, "seed": options.seed}
(options.out / "model.json").write_text(json.dumps(model) + "\n")
