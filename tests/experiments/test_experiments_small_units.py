"""Small units: the unit of the data decides, in fp16 and without scaling, and nowhere else."""

from dataclasses import replace

from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.small_units import EXPERIMENT, predict, train

RUNS = {run.run: replace(run, epochs=8) for run in EXPERIMENT.runs}


def test_small_units_lose_every_weight_gradient_in_fp16_and_none_in_bf16():
    assert predict(RUNS["fp16"])["expected"] == 1.0
    assert predict(RUNS["bf16"])["expected"] == 0.0
    assert predict(RUNS["fp16, unit 1"])["expected"] == 0.0


def test_fp16_does_not_move_a_weight_and_a_scale_makes_it_learn():
    lost, scaled = train(RUNS["fp16"]), train(RUNS["fp16 static"])
    fp32 = train(RUNS["fp32"])
    assert fails(lost, fp32) and lost["found"] == 1.0
    assert len(set(lost["epoch_losses"])) <= 8 and lost["zero_share_by_epoch"] == [1.0] * 8
    assert not fails(scaled, fp32)


def test_the_measured_share_is_the_predicted_one():
    run = RUNS["fp16 static"]
    assert abs(train(replace(run, epochs=1))["found"] - predict(run)["expected"]) < 0.01
