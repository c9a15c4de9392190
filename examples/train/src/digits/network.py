"""A network with one hidden layer, trained by plain stochastic gradient descent."""

import random
from dataclasses import dataclass
from math import exp, log, sqrt
from operator import mul

from digits.dataset import Sample

Matrix = list[list[float]]


@dataclass
class Network:
    """Weights of both layers: one row per neuron, the bias as the row's last number.

    Attributes:
        hidden: `hidden` rows of `inputs` + 1; followed by a ReLU.
        output: `classes` rows of `hidden` + 1; followed by a softmax.
    """

    hidden: Matrix
    output: Matrix

    @classmethod
    def create(cls, *, inputs: int, hidden: int, classes: int, seed: int) -> "Network":
        """Draw the first weights; the same seed draws the same ones."""
        rng = random.Random(seed)
        return cls(_layer(rng, hidden, inputs), _layer(rng, classes, hidden))

    def probabilities(self, pixels: list[float]) -> list[float]:
        """Return how sure the network is of each class; sums to 1."""
        return _softmax(_apply(self.output, self._activations(pixels)))

    def predict(self, pixels: list[float]) -> int:
        """Return the most probable class."""
        scores = _apply(self.output, self._activations(pixels))
        return max(range(len(scores)), key=scores.__getitem__)

    def learn(self, sample: Sample, rate: float) -> float:
        """Take one gradient step on one sample; return its cross-entropy from before the step."""
        active = self._activations(sample.pixels)
        errors = _softmax(_apply(self.output, active))
        loss = -log(max(errors[sample.label], 1e-12))
        errors[sample.label] -= 1.0

        blame = [sum(map(mul, errors, column)) for column in zip(*self.output)]
        active.append(1.0)
        for neuron, error in enumerate(errors):
            step = rate * error
            self.output[neuron] = [w - step * x for w, x in zip(self.output[neuron], active)]
        inputs = [*sample.pixels, 1.0]
        for neuron, weights in enumerate(self.hidden):
            if active[neuron] > 0.0:
                step = rate * blame[neuron]
                self.hidden[neuron] = [w - step * x for w, x in zip(weights, inputs)]
        return loss

    def _activations(self, pixels: list[float]) -> list[float]:
        return [max(0.0, value) for value in _apply(self.hidden, pixels)]


def accuracy(network: Network, samples: list[Sample]) -> float:
    """Return the share of samples that the network reads right."""
    return sum(network.predict(s.pixels) == s.label for s in samples) / len(samples)


def _layer(rng: random.Random, rows: int, inputs: int) -> Matrix:
    spread = sqrt(2.0 / inputs)
    return [[*(rng.gauss(0.0, spread) for _ in range(inputs)), 0.0] for _ in range(rows)]


def _apply(layer: Matrix, values: list[float]) -> list[float]:
    # `map` ends with the shorter one, `values`, and so leaves the bias out of the product.
    return [sum(map(mul, weights, values)) + weights[-1] for weights in layer]


def _softmax(scores: list[float]) -> list[float]:
    highest = max(scores)
    powers = [exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
