"""Stands in for your evaluation: scores a made-up model. Replace it, and keep the flags."""

import argparse
import json
import random
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--split", default="test")
parser.add_argument("--out", type=Path, default=Path("report/scores.json"))
options = parser.parse_args()

random.seed(options.model)
right = sum(random.random() < 0.8 for _ in range(1000))
scores = {"model": options.model, "split": options.split, "accuracy": right / 1000}

options.out.parent.mkdir(parents=True, exist_ok=True)
options.out.write_text(json.dumps(scores, indent=2) + "\n")
print(f"{options.model} on {options.split}: accuracy {scores['accuracy']:.3f}")
