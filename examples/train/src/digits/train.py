"""Train: read the data, learn for some epochs, leave `model/` and `metrics.json` behind."""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from digits import dataset, model_file
from digits.job import step, token
from digits.network import Network, accuracy

HIDDEN = 32
FIRST_RATE = 0.01
LAST_RATE = 0.002


class Epoch(NamedTuple):
    """How one pass over the training data went; accuracies from 0 to 1, on data not trained on."""

    number: int
    loss: float
    accuracy: float


def fit(
    network: Network,
    train: list[dataset.Sample],
    test: list[dataset.Sample],
    *,
    epochs: int,
    seed: int,
) -> list[Epoch]:
    """Train `network` in place, a line of output per epoch; the same seed gives the same result."""
    rng = random.Random(seed)
    order = train[:]
    history = []
    for number in range(1, epochs + 1):
        rate = FIRST_RATE + (LAST_RATE - FIRST_RATE) * (number - 1) / epochs
        rng.shuffle(order)
        loss = sum(network.learn(sample, rate) for sample in order) / len(order)
        epoch = Epoch(number, loss, accuracy(network, test))
        history.append(epoch)
        print(
            f"epoch {number:>2}/{epochs}  loss {loss:.4f}  accuracy {epoch.accuracy:.1%}",
            flush=True,
        )
    return history


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the training script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/digits.csv"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=24)
    args = parser.parse_args(argv)
    key = token()

    with step("train"):
        train, test = dataset.split(dataset.load(args.data), seed=args.seed)
        network = Network.create(
            inputs=dataset.SIDE**2, hidden=HIDDEN, classes=dataset.CLASSES, seed=args.seed
        )
        print(f"{len(train)} digits to learn from, {len(test)} held out, seed {args.seed}")
        print(f"before training: accuracy {accuracy(network, test):.1%}", flush=True)
        history = fit(network, train, test, epochs=args.epochs, seed=args.seed)

        model_file.save(network, args.out / "model", key)
        metrics = {
            "seed": args.seed,
            "epochs": args.epochs,
            "loss": history[-1].loss,
            "accuracy": history[-1].accuracy,
            "history": [epoch._asdict() for epoch in history],
        }
        text = json.dumps(metrics, indent=2) + "\n"
        (args.out / "metrics.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
