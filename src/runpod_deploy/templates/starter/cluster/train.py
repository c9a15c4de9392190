"""Stands in for your training: each process takes its share of the numbers. Replace it.

torchrun sets RANK and WORLD_SIZE, on one machine and on many; without it there is one process.
"""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, default=Path("out"))
options = parser.parse_args()

rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
share = sum(range(rank, 1_000_000, size))
print(f"process {rank + 1} of {size}: {share}", flush=True)

options.out.mkdir(parents=True, exist_ok=True)
(options.out / f"rank-{rank}.json").write_text(json.dumps({"rank": rank, "sum": share}) + "\n")
