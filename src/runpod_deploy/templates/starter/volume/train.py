"""Stands in for your training: counts epochs on the volume. Replace it, and keep the flags.

It shows what a volume is for: a run that ends early is taken up by the next one.
"""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--checkpoints", type=Path, required=True)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--out", type=Path, default=Path("out"))
options = parser.parse_args()

latest = options.checkpoints / "latest.json"
done = json.loads(latest.read_text())["epoch"] if latest.exists() else 0
files = sorted(options.data.glob("**/*")) if options.data.exists() else []
print(f"{len(files)} files in {options.data}; {done} epochs are done already")

for epoch in range(done + 1, done + options.epochs + 1):
    waiting = latest.with_suffix(".new")
    waiting.write_text(json.dumps({"epoch": epoch}) + "\n")
    waiting.replace(latest)  # whole or not at all, whenever the pod ends
    print(f"epoch {epoch}", flush=True)

options.out.mkdir(parents=True, exist_ok=True)
(options.out / "summary.json").write_text(json.dumps({"epochs": done + options.epochs}) + "\n")
