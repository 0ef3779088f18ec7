"""What is written to a model's state would reach the model in PyTorch; here it is a copy, and says so."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import AutogradError


def test_an_average_of_weights_that_is_written_to_a_state_is_refused_with_the_way_out() -> None:
    averaged, model = fl.nn.Linear(2, 2, rng=0), fl.nn.Linear(2, 2, rng=1)
    before, new = averaged.weight.tolist(), model.state_dict()
    for change in (
        lambda name, value: value.copy_(value * 0.9 + new[name] * 0.1),
        lambda name, value: value.mul_(0.9),
        lambda name, value: value.zero_(),
        lambda name, value: value.__setitem__(0, 1.0),
        lambda name, value: value.view(-1).fill_(1.0),
    ):
        for name, value in averaged.state_dict().items():
            with fl.no_grad(), pytest.raises(AutogradError, match=r"would reach the model.*clone\(\)"):
                change(name, value)
    assert averaged.weight.tolist() == before


def test_a_changed_clone_of_a_state_is_loaded_and_the_state_stays() -> None:
    model = fl.nn.Sequential(fl.nn.Linear(2, 2, rng=0), fl.nn.BatchNorm1d(2))
    state = model.state_dict()
    kept = {name: value.tolist() for name, value in state.items()}
    for changed in (
        {name: value.clone().mul_(2.0) for name, value in state.items()},
        {name: value.mul_(2.0) for name, value in copy.deepcopy(state).items()},
    ):
        model.load_state_dict(changed)
        assert model[0].weight.tolist() == (2 * np.array(kept["0.weight"])).tolist()
    model.load_state_dict(state)
    with fl.no_grad():
        model[0].weight.mul_(3.0)  # what was loaded is the model's own
    model(fl.ones(3, 2))  # so are the running statistics
    assert {name: value.tolist() for name, value in state.items()} == kept


def test_an_expanded_tensor_still_says_that_it_is_one() -> None:
    with pytest.raises(AutogradError, match="expanded"):
        fl.ones(3, 1).expand(3, 4).add_(1.0)
