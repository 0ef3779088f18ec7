"""A seed gives one set of weights, on every CPU; low precision fails and recovers where it should."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import FormatError, OptionError
from floatlab.experiments.harness.common import Run
from floatlab.experiments.harness.loop import Precision, fit
from floatlab.experiments.harness.training import (
    TrainingConfig,
    _accuracy,
    build_network,
    first_step,
    train,
    weights_sha256,
)
from floatlab.experiments.underflow import RUNS, Underflow
from floatlab.formats import FloatFormat, get_format

SHORT = """
from dataclasses import replace
from floatlab.experiments.harness.training import train
from floatlab.experiments.underflow import RUNS
for run in RUNS[::2]:
    record = train(replace(run, epochs=1, loss_weight=1e-6))
    print(record["weights_sha256"], record["train_loss"].hex())
"""
AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
ENVIRONMENTS = {
    "as it is": {},
    "one BLAS thread": {"OPENBLAS_NUM_THREADS": "1"},
    "four BLAS threads": {"OPENBLAS_NUM_THREADS": "4"},
    "an old CPU's BLAS": {"OPENBLAS_CORETYPE": "Nehalem"},
    "no AVX512 in NumPy": {"NPY_DISABLE_CPU_FEATURES": AVX512},
    "no AVX2 in NumPy": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 X86_V3 " + AVX512},
}


def hashes(environment: dict[str, str]) -> str:
    # NumPy warns about features that the CPU lacks or that cannot be switched off; that is no matter here.
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHORT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_same_seed_same_weights_on_every_cpu():
    found = {name: hashes(environment) for name, environment in ENVIRONMENTS.items()}
    # The runs differ from each other, so that equal hashes say something.
    assert len(set(found["as it is"].splitlines())) == len(RUNS[::2])
    for name, output in found.items():
        assert output == found["as it is"], name


def test_the_hash_is_that_of_the_little_endian_bytes_of_all_weights_in_order():
    network = build_network(TrainingConfig(widths=(2, 2, 1), seed=3))
    numbers = [float(x) for p in network.parameters() for x in p.data.ravel()]
    assert len(numbers) == 2 * 2 + 2 + 2 + 1
    assert weights_sha256(network) == hashlib.sha256(struct.pack(f"<{len(numbers)}f", *numbers)).hexdigest()


def test_a_run_gives_the_same_record_twice_and_another_seed_gives_another():
    config = TrainingConfig("fp16", "fp16", "fp16", "dynamic", 2.0**16, epochs=1)
    assert train(config) == train(config)
    assert train(config)["weights_sha256"] != train(TrainingConfig(epochs=1, seed=1))["weights_sha256"]


def test_a_record_has_the_fields_of_the_summary():
    record = train(TrainingConfig(epochs=1))
    assert {
        "run", "format", "loss_scaling", "loss_weight", "seed", "test_accuracy", "train_loss", "zero_gradient_share",
        "predicted_zero_share", "skipped_steps", "final_scale", "weights_sha256",
    } <= set(record)  # fmt: skip
    assert list(record["zero_gradient_share"]) == [f"layer{k}" for k in range(1, 6)]
    assert record["zero_gradient_share"].keys() == record["predicted_zero_share"].keys()
    assert set(record["zero_gradient_share"].values()) == {0.0}  # fp32 loses nothing, blank pixels or not


def test_the_first_step_in_fp32_has_the_gradients_of_the_textbook():
    config = TrainingConfig(loss_weight=0.5)
    from floatlab.data import digits

    images, labels = next(digits().batches(64, np.random.default_rng(0)))
    network = build_network(config)
    h = images.astype(np.float64)
    weights = [p.data.astype(np.float64) for p in network.parameters()]
    inputs = []
    for k in range(0, len(weights), 2):
        inputs.append(h)
        h = h @ weights[k].T + weights[k + 1]
        h = np.maximum(h, 0) if k < len(weights) - 2 else h
    p = np.exp(h - h.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    d = (p - np.eye(10)[labels]) * 0.5 / 64
    found = first_step(config)
    for k in reversed(range(5)):
        mine = found[f"layer{k + 1}"]
        np.testing.assert_allclose(mine.output_gradient, d, rtol=1e-3, atol=1e-8)
        np.testing.assert_allclose(mine.weight_gradient, d.T @ inputs[k], rtol=1e-3, atol=1e-7)
        d = (d @ weights[2 * k]) * (inputs[k] > 0)


def test_unscaled_fp16_loses_every_gradient_at_a_small_loss_weight_and_learns_nothing():
    record = train(TrainingConfig("fp16", "fp16", "fp16", loss_weight=1e-6, epochs=2))
    assert set(record["zero_gradient_share"].values()) == {1.0}
    assert record["zero_share_by_epoch"] == [1.0, 1.0]
    assert record["predicted_failure"]
    untouched = build_network(TrainingConfig())
    assert record["weights_sha256"] == weights_sha256(untouched)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.run)
def test_an_ordinary_loss_needs_no_help(run):
    config = TrainingConfig(
        run.run, run.format, run.gradient_format, run.loss_scaling, run.initial_scale, epochs=6
    )
    record = train(config)
    assert record["test_accuracy"] > 0.9 and not record["predicted_failure"]


def test_a_dynamic_scale_that_is_too_large_backs_off():
    record = train(TrainingConfig("fp16", "fp16", "fp16", "dynamic", 2.0**26, epochs=2))
    assert record["skipped_steps"] == len(record["overflow_steps"]) > 0
    assert record["final_scale"] < 2.0**26
    assert record["scale_changes"][0] == (0, 2.0**26)


@pytest.mark.parametrize(
    "wrong", [{"loss_scaling": "dynamc"}, {"loss_weight": 0.0}, {"loss_weight": float("nan")}, {"epochs": 0}]
)
def test_a_run_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(OptionError):
        TrainingConfig(**wrong)


def test_a_run_in_an_unknown_format_is_refused():
    with pytest.raises(FormatError, match="fp16"):
        TrainingConfig(format="fp17")


def test_the_demo_has_every_run_for_every_weight_and_seed():
    configs = Underflow().configs()
    assert len(configs) == len(set(configs)) == 7 * 2 * 3


@pytest.mark.parametrize("make", [TrainingConfig, Run, Precision], ids=lambda c: c.__name__)
def test_a_run_keeps_a_format_by_what_it_does_and_finds_it_again(make) -> None:
    for fmt in (
        FloatFormat("float16", 4, 4),
        FloatFormat("mine", 5, 3),
        FloatFormat("My, format", 3, 3, 9, "finite"),
    ):
        assert get_format(make(format=fmt).format) == fmt
        assert make(format=make(format=fmt).format) == make(format=fmt)
    assert make(format=FloatFormat("mine", 5, 10)).format == "float16"
    assert make(format=FloatFormat("float16", 4, 3)).format == "float8_e4m3"  # named by its rule
    assert make(format="e4m3b20").format == "e4m3b20"
    assert make(format="fp32", gradient_format=FloatFormat("float32", 8, 23)).gradient_format == "float32"


def test_an_image_with_a_nan_among_its_scores_is_classified_wrongly() -> None:
    network = nn.Linear(2, 2, rng=0)
    images = np.float32([[1, 1], [1, 2], [3, 1]])
    for weights in ([[np.nan] * 2] * 2, [[1.0, 1.0], [np.nan, np.nan]]):
        network.load_state_dict({"weight": weights, "bias": [0, 0]})
        for label in (0, 1):
            assert _accuracy(network, images, np.full(3, label)) == 0.0
    network.load_state_dict({"weight": [[1.0, 0.0], [0.0, 1.0]], "bias": [0, 0]})
    assert _accuracy(network, images, np.array([0, 1, 0])) == 1.0  # a tie is the first class


def test_a_scale_is_noted_when_it_changes_and_not_while_it_stays() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter([1.0])

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight

    def run(scaling: str, inputs: list[float]) -> list[tuple[int, float]]:
        network = Network()
        precision = Precision(loss_scaling=scaling, initial_scale=4.0, growth_interval=2)
        history = fit(
            network,
            lambda: (([x], None) for x in inputs),
            lambda y, _: y.sum(),
            optim.SGD(network.parameters(), lr=0.0),
            precision,
            epochs=1,
        )
        return history.scale_changes

    assert run("static", [1.0] * 6) == [(0, 4.0)]
    assert run("dynamic", [1.0] * 5) == [(0, 4.0), (2, 8.0), (4, 16.0)]
    assert run("dynamic", [np.inf, 1.0, 1.0, 1.0]) == [(0, 4.0), (1, 2.0), (3, 4.0)]
