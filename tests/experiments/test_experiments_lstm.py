"""An LSTM: open forget gates carry a gradient far; a small loss weight is lost all the same."""

from dataclasses import replace

import numpy as np

from floatlab.experiments.lstm import EXPERIMENT, gradients_by_step, predict, train

RUNS = {run.run: run for run in EXPERIMENT.runs}


def middle(config):
    return [float(np.log2(np.median(np.abs(g)))) for g in gradients_by_step(config)]


def test_open_gates_carry_the_gradient_through_a_hundred_steps():
    found = middle(RUNS["fp32"])
    assert len(found) == 100
    assert found[-1] - found[0] < 12


def test_gates_that_are_half_open_do_not():
    found = middle(replace(RUNS["fp32"], forget_bias=0.0))
    assert found[-1] - found[0] > 50


def test_only_the_unscaled_small_loss_is_predicted_to_fail():
    fails = {name for name, run in RUNS.items() if predict(run)["predicted_failure"]}
    assert fails == {"fp16, w = 1e-6"}


def test_what_is_lost_at_the_digit_is_near_the_prediction():
    run = replace(RUNS["fp16, w = 1e-6"], epochs=1, batch_size=700, blank_steps=20)
    assert abs(train(run)["found"] - predict(run)["expected"]) < 0.1
