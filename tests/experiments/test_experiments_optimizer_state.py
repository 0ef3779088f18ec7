"""Optimizer state: a moment that never falls, one that is not there, and an epsilon that is zero."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest

from floatlab import reference
from floatlab.experiments import optimizer_state
from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.optimizer_state import EXPERIMENT, claims, never_forgets, predict, train

RUNS = {run.run: replace(run, epochs=1) for run in EXPERIMENT.runs}


@pytest.mark.parametrize("beta2", [0.999, 0.998, 0.99])
@pytest.mark.parametrize("fmt", ["bf16", "fp16", "e5m2"])
def test_which_format_forgets_agrees_with_exact_arithmetic(fmt, beta2):
    from floatlab.formats import get_format

    known = get_format(fmt)
    one = known.bias << known.mantissa_bits  # the code of 1.0
    codes = range(one, one + 2**known.mantissa_bits)
    stays = all(
        reference.round(Fraction(beta2) * reference.decode(code, known), known).code == code for code in codes
    )
    assert never_forgets(fmt, beta2) == stays


def test_the_second_moment_never_falls_in_bf16_unless_it_is_rounded_stochastically():
    fp32, bf16, stochastic = (
        train(RUNS[name])["moments_that_fell"] for name in ("fp32", "bf16", "bf16 stochastic")
    )
    assert bf16 == 0.0
    assert fp32 > 0.2 and stochastic > 0.02


def test_a_lost_second_moment_and_a_lost_epsilon_ruin_the_weights():
    for name in ("fp16 state", "E5M2 state", "pure fp16"):
        assert predict(RUNS[name])["predicted_failure"]
        assert math.isnan(train(RUNS[name])["epoch_losses"][-1]), name


def test_a_larger_epsilon_makes_pure_fp16_learn():
    run = replace(RUNS["pure fp16, epsilon 1e-4"], epochs=2)
    assert not predict(run)["predicted_failure"]
    assert not fails(train(run), train(run.reference()))


def test_the_second_moments_that_are_zero_are_counted_in_the_run(monkeypatch):
    run = replace(RUNS["fp16 state"], batch_size=700)
    expected = predict(run)["expected"]
    assert 0.1 < expected < 0.9 and train(run)["found"] == pytest.approx(expected, abs=0.01)
    # An Adam whose memory holds more than it should shows in the measurement, and in no prediction.
    monkeypatch.setattr(optimizer_state._Watched, "step", keeping_all(optimizer_state._Watched.step))
    assert predict(run)["expected"] == expected and train(run)["found"] == 0.0


def keeping_all(step):
    def kept(self, closure=None):
        self.state_format = None
        return step(self, closure)

    return kept


def test_claims_need_the_runs_that_they_compare():
    assert claims([]) == []
