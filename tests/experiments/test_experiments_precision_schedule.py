"""Precision schedules: the prediction knows how far a format comes, and which schedule makes it come further."""

import math
from dataclasses import replace

import numpy as np
import pytest

from floatlab.amp import PrecisionSchedule
from floatlab.errors import OptionError
from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.harness.loop import History
from floatlab.experiments.harness.pace import journey
from floatlab.experiments.precision_schedule import EXPERIMENT, Point, Scheduled, descent_left, predict, train

RUNS = {run.run: run for run in EXPERIMENT.runs}
FAIL = {
    "E4M3",
    "fp16, from 1/8 on E4M3",
    "E3M4, from 3/4 on fp16",
    "E4M3 until 0.03, then fp16",
}


def test_what_is_predicted_to_fail_stays_in_a_format_that_comes_no_further():
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == FAIL


def test_neither_a_name_nor_bits_decide_but_the_smallest_number():
    run = RUNS["E4M3, from 1/2 on fp16"]
    wide = predict(replace(run, later="mine=e5m1b15"))  # fewer bits than E4M3, and fp16's exponents
    assert not wide["predicted_failure"]
    narrow = predict(replace(run, format="mine=e2m6b1", gradient_format="mine=e2m6b1", switch=0.75))
    assert narrow["predicted_failure"]


def test_a_scale_of_the_loss_does_what_a_finer_format_does():
    scaled = replace(RUNS["E4M3"], loss_scaling="static", initial_scale=2.0**10)
    assert predict(scaled)["predicted_loss"] == pytest.approx(
        predict(RUNS["fp32"])["predicted_loss"], rel=0.01
    )
    beyond = predict(replace(scaled, initial_scale=2.0**40))  # every step overflows, and is skipped
    assert beyond["predicted_failure"] and beyond["predicted_loss"] > 0.09


def test_the_whole_course_is_measured_in_the_run():
    half = replace(RUNS["E4M3, from 1/2 on fp16"], epochs=4)
    found = train(half)
    assert found["switched"] == 2
    assert 0.3 < found["found"] < 0.5  # all of it in the first two epochs
    coarse = train(replace(half, later="", epochs=2))["found"]
    assert found["found"] == pytest.approx(coarse / 2, abs=1e-3)  # fp16 loses one in ten thousand
    assert found["found"] == pytest.approx(predict(half)["expected"], abs=0.05)
    assert train(replace(RUNS["fp16"], epochs=1))["found"] < 1e-3


def test_a_schedule_is_the_first_format_until_it_switches_and_the_other_one_after():
    # Until the switch a run is that of its first format, bit for bit; after it, no longer.
    coarse = train(replace(RUNS["E4M3"], epochs=3))["epoch_losses"]
    late = train(replace(RUNS["E4M3, from 1/2 on fp16"], epochs=3, switch=0.67))["epoch_losses"]
    by_loss = train(replace(RUNS["E4M3 until 0.07, then fp16"], epochs=3, below=0.08))
    assert late[:2] == coarse[:2] and late[2] < coarse[2]
    assert by_loss["epoch_losses"] == late and by_loss["switched"] == 2
    never = train(replace(RUNS["E4M3 until 0.03, then fp16"], epochs=3))
    assert never["epoch_losses"] == coarse and never["switched"] is None


def test_the_order_of_two_formats_decides():
    # Twice the learning rate, half of the epochs.
    quick = {"epochs": 8, "learning_rate": 0.2}
    fp32, coarse, early, late = (
        train(replace(RUNS[name], **quick))
        for name in ("fp32", "E4M3", "E4M3, from 1/2 on fp16", "fp16, from 1/8 on E4M3")
    )
    assert not fails(early, fp32) and fails(coarse, fp32) and fails(late, fp32)


def test_what_is_left_of_a_descent_agrees_with_autograd():
    from floatlab import nn
    from floatlab.autograd import Tensor

    rng = np.random.default_rng(3)
    network = nn.Sequential(nn.Linear(5, 4, rng=rng), nn.Tanh(), nn.Linear(4, 5, rng=rng)).to("float64")
    x = rng.standard_normal((6, 5))
    outputs = network(Tensor(x, format="float64"))
    outputs.retain_grad()
    nn.functional.mse_loss(outputs, Tensor(x, format="float64")).backward()
    weights = [network[k].weight for k in (0, 2)]
    point = Point(x, network[:2](Tensor(x, format="float64")).data, outputs.grad.data, weights[1].data)
    assert descent_left(point, 0.0) == 1.0
    smallest, largest = np.abs(outputs.grad.data).min(), np.abs(outputs.grad.data).max()
    assert descent_left(point, smallest / 1e6) == 1.0
    assert descent_left(point, largest) == 0.0 < descent_left(point, largest / 8) < 1.0
    greatest = max(float(np.abs(w.grad.data).max()) for w in weights)
    assert descent_left(point, 0.0, greatest * 1.001) == 1.0
    assert descent_left(point, 0.0, greatest * 0.999) == 0.0


def test_a_slower_run_stands_where_fp32_stood_before():
    fp32 = History(first_loss=8.0, epoch_losses=[6.0, 4.0, 2.0, 1.0], steps=8)
    same = journey(fp32, PrecisionSchedule(["fp32"]), [0], [[1.0]])
    assert [place for _, place in same.places] == list(range(8))
    straight = History(first_loss=8.0, epoch_losses=[7.0, 5.0, 3.0, 1.0], steps=8)
    ahead = journey(straight, PrecisionSchedule(["fp32"]), [0], [[1.0]]).epoch_losses
    assert ahead == [7.5, 5.5, 3.5, 1.5]  # of two steps, at whose beginning the loss is looked at
    still = journey(fp32, PrecisionSchedule(["fp32"]), [0, 4], [[0.0, 1.0]])
    assert still.epoch_losses == [8.0] * 4
    by_loss = journey(fp32, PrecisionSchedule(["e4m3", "fp16"], below=7.0), [0], [[0.5], [1.0]])
    assert by_loss.switches == [2] and [stage for stage, _ in by_loss.places] == [0] * 4 + [1] * 4


@pytest.mark.parametrize("switch", [0.0, -0.5, 1.5, math.nan])
def test_a_switch_that_is_no_share_of_the_epochs_is_refused(switch):
    with pytest.raises(OptionError, match="share of the epochs"):
        Scheduled("x", "e4m3", later="fp16", switch=switch)
