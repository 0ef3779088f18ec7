"""Predictions follow from fp32 gradients alone, and come true where they claim to."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from floatlab import reference
from floatlab.experiments.harness.prediction import (
    LayerGradients,
    lost_share,
    predict,
    predicted_cliff,
    zero_threshold,
)
from floatlab.experiments.harness.training import TrainingConfig, first_step, fp32_twin
from floatlab.experiments.underflow import RUNS
from floatlab.formats import formats


def layer(output_gradient, x=None) -> LayerGradients:
    d = np.asarray(output_gradient, np.float32)
    x = np.ones((len(d), 1), np.float32) if x is None else np.asarray(x, np.float32)
    return LayerGradients(x, d, d.T @ x)


@pytest.mark.parametrize("fmt", [f for f in formats() if f.has_zero and f.bits <= 32], ids=str)
def test_the_threshold_is_the_last_number_that_rounds_to_zero(fmt):
    edge = Fraction(zero_threshold(fmt))
    assert reference.round(edge, fmt).code == 0
    assert reference.round(edge * (1 + Fraction(1, 2**60)), fmt).code == 1


def test_a_scale_lowers_the_threshold():
    assert zero_threshold("fp16", 2.0**16) == 2.0**-41


def test_what_is_zero_in_fp32_does_not_count_as_lost():
    assert lost_share(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])) == 0.5
    assert lost_share(np.zeros(3), np.zeros(3)) == 0.0


def test_a_weight_gradient_is_lost_with_the_output_gradient_that_it_is_made_of():
    # 64 entries of 2^-26 add up to 2^-20, which fp16 holds with ease; yet each one is lost before it is added.
    one = {"layer1": layer(np.full((64, 1), 2.0**-26))}
    assert predict(one, "fp16").weight_gradients == {"layer1": 1.0}
    assert predict(one, "fp16", scale=4.0).weight_gradients == {"layer1": 0.0}


def test_a_tie_is_lost_and_anything_above_it_is_not():
    d = np.array([[2.0**-25, np.nextafter(np.float32(2.0**-25), np.float32(1))]])
    assert predict({"layer1": layer(d)}, "fp16").output_gradients == {"layer1": 0.5}


def test_nothing_comes_down_from_a_row_that_is_lost_above():
    # The first layer's own gradients are large enough, but those of its second image come from nothing.
    layers = {"layer1": layer([[1.0, 1.0], [1.0, 1.0]]), "layer2": layer([[1.0], [2.0**-30]])}
    found = predict(layers, "fp16").output_gradients
    assert found == {"layer1": 0.5, "layer2": 0.5}


def test_a_run_is_predicted_to_fail_when_most_of_the_last_output_gradient_is_lost():
    few = {"layer1": layer([[1.0, 1.0, 1.0, 1e-9]])}
    most = {"layer1": layer([[1.0, 1e-9, 1e-9, 1e-9]])}
    assert not predict(few, "fp16").fails
    assert predict(most, "fp16").fails
    assert not predict(most, "fp16", scale=2.0**16).fails


def test_the_cliff_is_where_half_of_the_last_output_gradient_is_lost():
    exact = first_step(TrainingConfig())
    cliff = predicted_cliff(exact, 1.0, "fp16")
    assert 1e-5 < cliff < 1e-4
    for weight, fails in ((cliff * 1.1, False), (cliff / 1.1, True)):
        assert predict(first_step(TrainingConfig(loss_weight=weight)), "fp16").fails is fails
    # It is proportional to the loss weight, whatever weight it was found from, and a scale divides it.
    other = predicted_cliff(first_step(TrainingConfig(loss_weight=1e-3)), 1e-3, "fp16", scale=1024)
    assert math.isclose(other, cliff / 1024, rel_tol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("weight", [1.0, 1e-6])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.run)
def test_predicted_and_measured_shares_agree_within_five_points(run, weight, seed):
    config = replace(run, loss_weight=weight, seed=seed)
    exact, measured = first_step(fp32_twin(config)), first_step(config)
    expected = predict(exact, config.gradient_format, scale=config.initial_scale)
    for name in exact:
        for field, shares in (
            ("weight_gradient", expected.weight_gradients),
            ("output_gradient", expected.output_gradients),
        ):
            found = lost_share(getattr(exact[name], field), getattr(measured[name], field))
            assert abs(shares[name] - found) <= 0.05


def test_the_histogram_of_weight_gradients_alone_would_mislead():
    # What the module says about its own need: one in eight fp32 weight gradients is above fp16's threshold.
    exact = first_step(TrainingConfig(loss_weight=1e-6))
    measured = first_step(TrainingConfig("fp16", "fp16", "fp16", loss_weight=1e-6))
    gradients = np.concatenate([part.weight_gradient.ravel() for part in exact.values()])
    above = (np.abs(gradients[gradients != 0]) > 2.0**-25).mean()
    assert 0.10 < above < 0.20
    assert all(not part.weight_gradient.any() for part in measured.values())


def test_the_cliff_is_the_median_of_what_is_not_zero():
    layers = {"a": layer([[0, 0, 0, 1.0]] * 4)}
    assert predicted_cliff(layers, 1.0, "fp16") == 2.0**-25
    layers = {"a": layer([[0, 0.25, 1.0, 4.0]])}
    assert predicted_cliff(layers, 1.0, "fp16", scale=8.0) == 2.0**-28


def test_a_weight_gradient_at_the_tie_is_lost_although_what_it_is_made_of_is_not():
    found = LayerGradients(np.array([[2.0**-2]]), np.array([[2.0**-23]]), np.array([[2.0**-25]]))
    assert predict({"a": found}, "fp16").weight_gradients["a"] == 1.0
    above = LayerGradients(
        np.array([[2.0**-2]]), np.array([[2.0**-23 * 1.25]]), np.array([[2.0**-25 * 1.25]])
    )
    assert predict({"a": above}, "fp16").weight_gradients["a"] == 0.0
