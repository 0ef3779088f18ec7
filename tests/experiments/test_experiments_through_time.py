"""Through time: the gradient falls step by step, and fp16 loses it before the digit."""

from dataclasses import replace

import numpy as np
import pytest

from floatlab.experiments import registry
from floatlab.experiments.through_time import EXPERIMENT, gradients_by_step, predict, steps_needed, train

RUNS = {run.run: run for run in EXPERIMENT.runs}


def test_the_gradient_falls_by_half_a_binade_a_step_and_more():
    magnitudes = [np.log2(np.median(np.abs(g))) for g in gradients_by_step(RUNS["fp32"])]
    assert len(magnitudes) == 41
    assert magnitudes[-1] > -12 and magnitudes[0] < -30
    assert np.all(np.diff(magnitudes[::5]) > 2.0)


@pytest.mark.parametrize("name", RUNS)
def test_what_fails_is_what_is_lost_or_held_up_by_epsilon(name):
    expected = predict(replace(RUNS[name], epochs=2))
    assert expected["predicted_failure"] == (name in ("fp16", "fp32, epsilon 1e-8"))
    assert (expected["expected"] > 0.5) == (name == "fp16")


def test_in_fp16_the_input_weights_get_no_gradient_and_the_loss_stays_at_chance():
    short = {"epochs": 1, "batch_size": 240}
    run = train(replace(RUNS["fp16"], **short))
    assert run["found"] == 1.0 and run["lost_by_step"][-1] < 0.1
    assert min(run["epoch_losses"]) > 2.29  # ln 10 = 2.303


def test_a_short_memory_is_no_problem_for_fp16():
    near = replace(RUNS["fp16"], blank_steps=3)
    expected = predict(replace(near, epochs=1))
    assert expected["expected"] == pytest.approx(0.0, abs=0.01) and not expected["predicted_failure"]


def test_an_epsilon_shortens_steps_by_what_it_is_beside_the_gradients():
    roots = [np.array([1e-8, 3e-8, 0.0]), np.array([1e-6])]
    first = 4e-8 / (1e-16 / 2e-8 + 9e-16 / 4e-8)
    assert steps_needed(roots, 1e-8) == pytest.approx(first + 1.01)
    assert steps_needed(roots, 1e-30) == pytest.approx(2.0)
    speeds = [
        predict(replace(RUNS["fp32"], epochs=1, epsilon=e))["predicted_speed"] for e in (1e-20, 1e-10, 1e-8)
    ]
    assert speeds[0] == pytest.approx(1.0) and speeds[0] > speeds[1] > 0.5 > speeds[2]


def test_a_seed_whose_fp32_run_has_not_begun_to_learn_gives_no_answer():
    """One short epoch is too few for anybody: bf16 is no worse than fp32 there, and is not said to fail."""
    short = {"epochs": 1, "batch_size": 240}
    pair = [replace(RUNS[name], **short) for name in ("fp32", "bf16")]
    records = registry.run(replace(EXPERIMENT, runs=tuple(pair)), [0])
    assert [r["failed"] for r in records] == [None, None]
    assert all(claim.holds == () for claim in registry.verdict(EXPERIMENT, records))
