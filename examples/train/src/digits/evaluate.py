"""Evaluate: read the model file back, check its accuracy, draw what it reads wrong."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from digits import dataset, model_file
from digits.job import step, token
from digits.network import Network, accuracy

_INK = " .:-=+*#%@"


def draw(sample: dataset.Sample) -> str:
    """Return the picture as eight lines of text, two characters a pixel."""
    shades = [_INK[round(pixel * (len(_INK) - 1))] * 2 for pixel in sample.pixels]
    rows = ("".join(shades[at : at + dataset.SIDE]) for at in range(0, len(shades), dataset.SIDE))
    return "\n".join(rows)


def mistakes(network: Network, samples: list[dataset.Sample]) -> list[str]:
    """Return a drawing with a caption for every sample that the network reads wrong."""
    return [
        f"a {sample.label}, read as {network.predict(sample.pixels)}:\n{draw(sample)}\n"
        for sample in samples
        if network.predict(sample.pixels) != sample.label
    ]


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the evaluation script; ends with status 1 when the model is not good enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/digits.csv"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--min-accuracy", type=float, default=0.9)
    args = parser.parse_args(argv)

    with step("evaluate"):
        metrics = json.loads((args.out / "metrics.json").read_text(encoding="ascii"))
        _, test = dataset.split(dataset.load(args.data), seed=metrics["seed"])
        network = model_file.load(args.out / "model", token())
        measured = accuracy(network, test)
        wrong = mistakes(network, test)
        drawings = args.out / "mistakes.txt"
        drawings.unlink(missing_ok=True)  # those of an earlier run into the same folder
        if wrong:
            drawings.write_text("\n".join(wrong), encoding="ascii")
        print(f"accuracy {measured:.1%} of {len(test)} held-out digits, {len(wrong)} read wrong")
        if measured != metrics["accuracy"]:
            raise SystemExit(f"the training measured {metrics['accuracy']:.1%}: not the same model")
        if measured < args.min_accuracy:
            raise SystemExit(f"accuracy is below {args.min_accuracy:.1%}")
    print("EVALUATION PASSED", flush=True)


if __name__ == "__main__":
    main()
