"""Stagnation: an update below half of the distance to the neighbour is lost, and no scale brings it back."""

from dataclasses import replace

import pytest

from floatlab.experiments.stagnation import EXPERIMENT, judge, predict, train

RUNS = {run.run: replace(run, epochs=2) for run in EXPERIMENT.runs}


def test_bf16_loses_more_updates_than_fp16_and_fp32_almost_none():
    shares = {name: predict(RUNS[name])["expected"] for name in ("fp32", "fp16", "bf16")}
    assert shares["fp32"] < 0.01 < 0.5 < shares["fp16"] < shares["bf16"]


def test_a_larger_learning_rate_loses_fewer_updates():
    shares = [predict(replace(RUNS["bf16"], learning_rate=lr))["expected"] for lr in (1e-3, 1e-2, 1e-1)]
    assert shares[0] > shares[1] > shares[2]


def test_no_loss_scale_is_of_any_help():
    scaled = replace(RUNS["bf16"], loss_scaling="static", initial_scale=1024.0)
    assert predict(scaled) == predict(RUNS["bf16"])


def test_a_master_copy_and_stochastic_rounding_are():
    fp32, bf16, master, stochastic = (
        train(RUNS[name])["train_loss"] for name in ("fp32", "bf16", "bf16, fp32 master", "bf16 stochastic")
    )
    assert bf16 > fp32 + 0.05
    assert master == pytest.approx(fp32, rel=0.02)
    assert stochastic == pytest.approx(fp32, rel=0.02)


def test_a_loss_that_is_no_number_is_a_failure():
    assert judge({"train_loss": None}, {"train_loss": 1.0})
    assert judge({"train_loss": 1.3}, {"train_loss": 1.0})
    assert not judge({"train_loss": 1.1}, {"train_loss": 1.0})
