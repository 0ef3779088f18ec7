"""Training in int8: nearest rounding believes half steps of an integer, stochastic rounding the truth."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from floatlab.errors import OptionError
from floatlab.experiments.int8_training import (
    EXPERIMENT,
    RECIPES,
    Int8Training,
    along,
    claims,
    labels_of,
    measured,
    predict,
    resting_point,
    train,
)

RUNS = {run.run: run for run in EXPERIMENT.runs}


def half_step(k: int) -> Fraction:
    """Return p = (k + 1/2) (1 - p) / 127: between two integers of a row whose largest magnitude is 1 - p."""
    return Fraction(2 * k + 1, 254 + 2 * k + 1)


@pytest.mark.parametrize(
    ("rate", "recipe", "expected"),
    [
        (0.002, "tensor, nearest", Fraction(8, 127)),
        (0.01, "tensor, nearest", Fraction(8, 127)),
        (0.03, "tensor, nearest", Fraction(8, 127)),
        (0.002, "rows, nearest", half_step(0)),
        (0.01, "rows, nearest", half_step(1)),
        (0.03, "rows, nearest", half_step(3)),
    ],
)
def test_rounded_to_nearest_the_rare_task_rests_half_way_between_two_integers(rate, recipe, expected):
    assert resting_point(Int8Training(recipe=recipe, rate=rate, seed=7)) == pytest.approx(
        float(expected), rel=0.01
    )


def test_the_resting_point_of_a_tensor_goes_with_the_weight_of_the_other_task():
    found = [resting_point(Int8Training(recipe="tensor, nearest", weight=weight)) for weight in (8.0, 32.0)]
    assert found == pytest.approx([8 / 508, 32 / 508], rel=0.01)
    rows = [resting_point(Int8Training(recipe="rows, nearest", weight=weight)) for weight in (8.0, 32.0)]
    assert rows[0] == rows[1]


def test_what_is_rounded_stochastically_or_not_at_all_rests_at_the_rate():
    for recipe in ("none", "tensor, stochastic", "rows, stochastic"):
        config = Int8Training(recipe=recipe, rate=0.03)
        assert resting_point(config) == labels_of(config)[:, 1].mean()


def test_only_a_tensors_scale_rounded_to_nearest_is_predicted_to_fail_far_from_its_half_step():
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == {
        "tensor, nearest, 0.2%",
        "tensor, nearest, 1.0%",
    }


@pytest.mark.parametrize("name", ["tensor, nearest, 0.2%", "rows, nearest, 1.0%"])
def test_a_run_believes_what_was_predicted(name):
    run = replace(RUNS[name], seed=21)
    assert train(run)["found"] == pytest.approx(predict(run)["expected"], rel=0.02)


def test_one_task_is_a_coin_and_the_other_as_rare_as_the_rate_says_in_orders_of_the_seed():
    first, second = (labels_of(Int8Training(seed=seed, rate=0.01)) for seed in (0, 1))
    assert first.sum(0).tolist() == second.sum(0).tolist() == [1024, round(0.01 * 2048)]
    assert not np.array_equal(first, second)
    assert (
        abs(first[first[:, 1] == 1, 0].mean() - 0.5) < 0.4
    )  # the two orders have nothing to do with one another


def records(seed: int, off: float, loss: float) -> list[dict]:
    expected = {"none": lambda r: r, "tensor, nearest": lambda r: 8 / 127, "tensor, stochastic": lambda r: r,
                "rows, nearest": lambda r: {0.002: 1 / 255, 0.01: 3 / 257, 0.03: 7 / 261}[r],
                "rows, stochastic": lambda r: r}  # fmt: skip
    return [
        {"recipe": recipe, "rate": rate, "seed": seed, "examples": 1000, "found": believed(rate) * (1 + off),
         "epoch_losses": [9.0, 5.0 * (1 + (loss if recipe == "tensor, nearest" else 0.0))]}
        for recipe, believed in expected.items() for rate in (0.002, 0.01, 0.03)
    ]  # fmt: skip


def test_claims_hold_for_each_seed_apart():
    found = claims([*records(0, 0.01, 0.002), *records(1, 0.06, 0.02)])
    assert len(found) == 5 and {claim.holds for claim in found} == {(True, False)}


def test_the_figure_has_a_line_for_each_recipe_which_is_level_where_the_truth_is_believed():
    drawn = along(records(0, 0.0, 0.0))
    off = next(key for key in drawn[0] if key.startswith("believed"))
    lines = {name: [r[off] for r in drawn if r["run"] == name] for name in {r["run"] for r in drawn}}
    assert set(lines["fp32"]) == set(lines["rows, stochastic"]) == set(lines["tensor, stochastic"]) == {0.0}
    assert lines["tensor, nearest"][0] > 4 and max(map(abs, lines["rows, nearest"])) < 1.2
    points = measured(records(0, 0.0, 0.0))
    assert len(points) == 15 and {r["run"] for r in points} == set(lines)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(OptionError, match="rows, nearest"):
        Int8Training(recipe="row, nearest")
    assert RECIPES["none"] is None
