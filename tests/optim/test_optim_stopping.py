"""Early stopping: when it stops, what it brings back, and what it refuses."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import OptionError, StateError


def model_at(value: float) -> nn.Module:
    model = nn.Linear(1, 1, rng=0)
    put(model, value)
    return model


def put(model: nn.Module, value: float) -> None:
    model.load_state_dict({"weight": [[value]], "bias": [0.0]})


def run(values: list[float], **options: Any) -> tuple[int, optim.EarlyStopping, nn.Module]:
    """Return after how many values it stopped; the weight is the number of the step."""
    model = model_at(0.0)
    stopping = optim.EarlyStopping(model, **options)
    for step, value in enumerate(values):
        put(model, float(step))
        if stopping.step(value):
            return step + 1, stopping, model
    return 0, stopping, model


def test_it_stops_after_so_many_values_that_are_no_better_and_brings_the_best_weights_back() -> None:
    count, stopping, model = run([5.0, 3.0, 4.0, 3.0, 3.5, 1.0], patience=3)
    assert (count, stopping.best, stopping.best_step, model.weight.item()) == (5, 3.0, 1, 1.0)


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_patience_is_the_number_of_values_in_a_row(patience: int) -> None:
    count, _, _ = run([1.0, *[2.0] * 10], patience=patience)
    assert count == 1 + patience
    assert run([2.0, 3.0] * 1 + [1.0, 3.0] + [0.5, 3.0], patience=2)[0] == 0


def test_larger_can_be_better_and_an_equal_value_is_not() -> None:
    count, stopping, model = run([0.5, 0.9, 0.9, 0.8], patience=2, mode="max")
    assert (count, stopping.best, model.weight.item()) == (4, 0.9, 1.0)


def test_a_small_gain_does_not_count() -> None:
    assert run([1.0, 0.95, 0.91, 0.89], patience=2, min_delta=0.1)[0] == 3
    assert run([1.0, 0.89, 0.78, 0.67], patience=2, min_delta=0.1)[0] == 0


def test_nan_is_not_better() -> None:
    count, stopping, model = run([math.nan, 1.0, math.nan, math.nan], patience=2)
    assert (count, stopping.best, model.weight.item()) == (4, 1.0, 1.0)
    count, stopping, model = run([math.nan] * 5, patience=3)
    assert (count, stopping.best_step, model.weight.item()) == (3, None, 2.0)  # there was no best state


def test_the_last_weights_can_stay() -> None:
    _, stopping, model = run([1.0, 2.0, 2.0], patience=2, restore_best=False)
    assert model.weight.item() == 2.0
    stopping.restore()
    assert model.weight.item() == 0.0


def test_a_loss_may_be_a_tensor() -> None:
    stopping = optim.EarlyStopping(model_at(0.0))
    stopping.step(Tensor(0.5))
    assert stopping.best == 0.5


def test_a_resumed_run_stops_where_the_whole_one_does(tmp_path: Path) -> None:
    values = [3.0, 1.0, 2.0, 2.0, 2.0]
    count, _, whole = run(values, patience=3)
    _, stopping, model = run(values[:3], patience=3)
    path = tmp_path / "run.npz"
    optim.save_state(path, model=model, stopping=stopping)
    other = model_at(9.0)
    resumed = optim.EarlyStopping(other, patience=3)
    optim.load_state(path, model=other, stopping=resumed)
    for step in range(3, 5):
        put(other, float(step))
        if resumed.step(values[step]):
            break
    assert (step + 1, other.weight.item()) == (count, whole.weight.item()) == (5, 1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: optim.EarlyStopping(m, 0), "patience"),
        (lambda m: optim.EarlyStopping(m, 2.5), "patience"),
        (lambda m: optim.EarlyStopping(m, mode="lower"), "mode"),
        (lambda m: optim.EarlyStopping(m, min_delta=-1.0), "min_delta"),
        (lambda m: optim.EarlyStopping(m, min_delta=math.nan), "min_delta"),
        (lambda m: optim.EarlyStopping(m, restore_best="no"), "restore_best"),
        (lambda m: optim.EarlyStopping(5), "Got int"),
        (lambda m: optim.EarlyStopping(m).step("low"), "Got 'low'"),
        (lambda m: optim.EarlyStopping(m).step(None), "Got None"),
        (lambda m: optim.EarlyStopping(m).step(np.ones(3)), "a number"),
    ],
)
def test_what_cannot_be_followed_is_refused(make: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make(model_at(0.0))


@pytest.mark.parametrize("change", [{"best": "a"}, {"steps": -1.5}, {"best_step": 7}, {"more": 1}])
def test_a_damaged_state_is_refused(change: dict[str, Any]) -> None:
    stopping = optim.EarlyStopping(model_at(0.0))
    stopping.step(1.0)
    saved = stopping.state_dict()
    with pytest.raises(StateError):
        stopping.load_state_dict({**saved, **change})
    with pytest.raises(StateError):
        stopping.load_state_dict(5)  # type: ignore[arg-type]
    stopping.load_state_dict(saved)
