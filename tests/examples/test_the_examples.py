"""The examples run as a user starts them, from made-up images and from the data sets' own kinds of files."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = ("mnist", "cifar10", "resnet18")


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )


def results(output: str) -> list[tuple[float, float]]:
    """Return the loss and the share of right answers, in percent, of each epoch."""
    return [(float(a), float(b)) for a, b in re.findall(r"loss ([\d.]+), ([\d.]+)%", output)]


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in (*NAMES, "training"):
        sys.modules.pop(name, None)


def test_every_example_is_tested_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*NAMES, "training"}


@pytest.mark.parametrize("fmt", ["fp32", "fp16"])
def test_mnist_learns_the_made_up_images(fmt):
    process = run("mnist", "--synthetic", "--epochs", "4", "--format", fmt)
    assert process.returncode == 0, process.stderr
    found = results(process.stdout)
    assert len(found) == 4 and found[-1][1] > 80.0 > 60.0 > found[0][1]


@pytest.mark.parametrize("name", ["cifar10", "resnet18"])
def test_the_convolutional_networks_train_on_made_up_images(name):
    process = run(name, "--synthetic", "--epochs", "1", "--batch", "32")
    assert process.returncode == 0, process.stderr
    ((loss, _),) = results(process.stdout)
    assert 1.0 < loss < 2.6


@pytest.mark.parametrize(
    ("name", "parameters"), [("mnist", 101_770), ("cifar10", 545_098), ("resnet18", 11_173_962)]
)
def test_the_networks_have_the_parameters_that_they_are_known_for(name, parameters, module):
    network = module(name).network(0)
    assert sum(p.size for p in network.parameters()) == parameters


def test_mnist_is_read_from_its_own_files(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 64), ("t10k", 20)):
        pixels, labels = (
            rng.integers(0, 256, (count, 28, 28), np.uint8),
            rng.integers(0, 10, count).astype(np.uint8),
        )
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
    process = run("mnist", str(tmp_path), "--epochs", "1")
    assert process.returncode == 0 and len(results(process.stdout)) == 1, process.stderr


def test_cifar10_is_read_from_its_own_files(tmp_path):
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        records = rng.integers(0, 256, (4, 3073), np.uint8)
        records[:, 0] %= 10
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    process = run("cifar10", str(tmp_path), "--epochs", "1")
    assert process.returncode == 0 and len(results(process.stdout)) == 1, process.stderr


@pytest.mark.parametrize("name", NAMES)
def test_without_files_an_example_says_what_to_do(name):
    process = run(name)
    assert process.returncode == 1 and "--synthetic" in process.stderr and "Traceback" not in process.stderr
