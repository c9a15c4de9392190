"""The training example learns, says how far it is, and trusts only the model it signed itself."""

import hashlib
import importlib
import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

EXAMPLE = Path(__file__).parents[3] / "examples" / "train"
DATA = EXAMPLE / "data" / "digits.csv"


class Digits:
    """The example's modules, imported from its source folder."""

    def __getattr__(self, name: str) -> ModuleType:
        return importlib.import_module(f"digits.{name}")


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Digits]:
    """Offer the example's package for one test."""
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Digits()
    for name in [name for name in sys.modules if name.partition(".")[0] == "digits"]:
        del sys.modules[name]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Write a data file with the first 100 digits only."""
    path = tmp_path / "small.csv"
    path.write_text("".join(DATA.read_text("ascii").splitlines(keepends=True)[:100]), "ascii")
    return path


def test_learns_far_above_chance_in_three_epochs(
    digits: Digits, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three epochs over 400 digits make the loss fall and beat chance three times over."""
    samples = digits.dataset.load(DATA)[:500]
    train, test = digits.dataset.split(samples, seed=7)
    network = digits.network.Network.create(inputs=64, hidden=16, classes=10, seed=7)

    history = digits.train.fit(network, train, test, epochs=3, seed=7)

    losses = [epoch.loss for epoch in history]
    assert sorted(losses, reverse=True) == losses
    assert history[-1].accuracy > 0.3
    assert list(range(1, 4)) == [epoch.number for epoch in history]
    lines = capsys.readouterr().out.splitlines()
    assert [f"epoch  {number}/3" for number in (1, 2, 3)] == [line[:10] for line in lines]


def test_probabilities_are_a_distribution_that_prediction_follows(digits: Digits) -> None:
    """The class probabilities sum to one and the prediction is the greatest of them."""
    network = digits.network.Network.create(inputs=64, hidden=8, classes=10, seed=1)
    pixels = digits.dataset.load(DATA)[3].pixels

    probabilities = network.probabilities(pixels)

    assert pytest.approx(1.0) == sum(probabilities)
    assert probabilities.index(max(probabilities)) == network.predict(pixels)


def test_a_step_goes_down_the_gradient(digits: Digits) -> None:
    """Learning one sample with a small rate lowers the loss by what its gradient promises."""
    network = digits.network.Network.create(inputs=2, hidden=3, classes=2, seed=4)
    sample = digits.dataset.Sample(1, [0.3, 0.9])
    before = [row[:] for row in network.hidden + network.output]
    rate = 1e-5

    loss = network.learn(sample, rate)
    after = network.learn(sample, 0.0)

    moved = zip(before, network.hidden + network.output, strict=True)
    squares = sum(
        (new - old) ** 2 for olds, news in moved for old, new in zip(olds, news, strict=True)
    )
    assert pytest.approx(squares / rate, rel=1e-3) == loss - after
    assert loss > after


def test_the_same_seed_gives_the_same_files(
    digits: Digits, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trainings with one seed write equal bytes; another seed writes others."""
    monkeypatch.setenv("TRAIN_TOKEN", "t")
    outputs = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        out = tmp_path / name
        digits.train.main(
            ["--data", str(small), "--out", str(out), "--seed", seed, "--epochs", "1"]
        )
        outputs.append([(out / file).read_bytes() for file in ("model/model.json", "metrics.json")])

    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


def test_training_then_evaluation_marks_each_step_and_passes(
    digits: Digits,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both scripts in a row print their step markers, draw the mistakes, end with the marker."""
    monkeypatch.setenv("TRAIN_TOKEN", "t")
    common = ["--data", str(small), "--out", str(tmp_path / "out")]

    digits.train.main([*common, "--epochs", "2"])
    digits.evaluate.main([*common, "--min-accuracy", "0.1"])

    lines = capsys.readouterr().out.splitlines()
    markers = [line for line in lines if line.startswith("__RUNPOD_STEP_")]
    expected = [
        "__RUNPOD_STEP_START__train__",
        "__RUNPOD_STEP_DONE__train__",
        "__RUNPOD_STEP_START__evaluate__",
        "__RUNPOD_STEP_DONE__evaluate__",
    ]
    assert expected == markers
    assert lines[-1] == "EVALUATION PASSED"
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text("ascii"))
    drawings = (tmp_path / "out" / "mistakes.txt").read_text("ascii")
    assert round(20 * (1 - metrics["accuracy"])) == drawings.count(", read as ")


def test_a_model_that_is_not_good_enough_fails_without_the_marker(
    digits: Digits,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Below the wanted accuracy the evaluation ends with its reason, the step left open."""
    monkeypatch.setenv("TRAIN_TOKEN", "t")
    common = ["--data", str(small), "--out", str(tmp_path / "out")]
    digits.train.main([*common, "--epochs", "1"])

    with pytest.raises(SystemExit, match=r"accuracy is below 100\.0%"):
        digits.evaluate.main([*common, "--min-accuracy", "1.0"])

    printed = capsys.readouterr().out
    assert "__RUNPOD_STEP_DONE__evaluate__" not in printed
    assert "EVALUATION PASSED" not in printed


def test_a_changed_model_or_another_token_is_refused(digits: Digits, tmp_path: Path) -> None:
    """The signature fits only the bytes that were signed, with the token that signed them."""
    network = digits.network.Network.create(inputs=64, hidden=2, classes=10, seed=1)
    digits.model_file.save(network, tmp_path, "right")

    assert network == digits.model_file.load(tmp_path, "right")
    with pytest.raises(ValueError, match="not signed with this TRAIN_TOKEN"):
        digits.model_file.load(tmp_path, "wrong")
    model = tmp_path / "model.json"
    model.write_text(model.read_text("ascii").replace("0.0]", "0.5]", 1), "ascii")
    with pytest.raises(ValueError, match="not signed with this TRAIN_TOKEN"):
        digits.model_file.load(tmp_path, "right")


@pytest.mark.parametrize("environ", [{}, {"TRAIN_TOKEN": ""}])
def test_no_token_ends_the_script_with_the_reason(digits: Digits, environ: dict[str, str]) -> None:
    """A missing or empty TRAIN_TOKEN is told by name."""
    with pytest.raises(SystemExit, match="TRAIN_TOKEN is not set"):
        digits.job.token(environ)


@pytest.mark.parametrize(
    "line",
    ["", "3", "x," + "0" * 64, "3," + "0" * 63, "3," + "0" * 65, "10," + "0" * 64, "3," + "g" * 64],
)
def test_a_bad_data_line_is_told_with_its_place(digits: Digits, tmp_path: Path, line: str) -> None:
    """A line that is not a label and 64 pixels is an error with file and line."""
    path = tmp_path / "bad.csv"
    path.write_text(f"3,{'f' * 64}\n{line}\n", "ascii")

    with pytest.raises(ValueError, match=r"bad\.csv:2: expected"):
        digits.dataset.load(path)


def test_the_data_file_is_what_its_generator_draws() -> None:
    """Drawing the first digits again gives the committed lines, and all ten occur equally often."""
    tool = runpy.run_path(str(EXAMPLE / "tools" / "make_digits.py"))
    lines = DATA.read_text("ascii").splitlines()

    assert lines[:50] == [tool["row"](index) for index in range(50)]
    assert tool["COUNT"] == len(lines)
    assert {f"{digit}": 240 for digit in range(10)} == {
        f"{digit}": sum(line[0] == f"{digit}" for line in lines) for digit in range(10)
    }


def test_the_job_file_asks_for_this_very_data_file() -> None:
    """The checksum that the pod compares is that of the committed file."""
    job = yaml.safe_load((EXAMPLE / "job.yaml").read_text("utf-8"))
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()

    assert digest in job["preflight"][0]["command"]
