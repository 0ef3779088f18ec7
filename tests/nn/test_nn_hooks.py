"""Hooks of modules are told what goes in and what comes out, as in PyTorch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import AutogradError, DtypeError, OptionError


def _run(library: Any) -> list[Any]:
    """Return what a small model computes while hooks watch and change it."""
    model = library.nn.Sequential(library.nn.ReLU(), library.nn.Tanh())
    x = library.tensor([[-1.0, 0.5]])
    seen: list[Any] = []
    watch = lambda module, inputs, output: seen.append([inputs[0].tolist(), output.tolist()])  # noqa: E731
    handles = [model[0].register_forward_hook(watch)]
    seen.append(model(x).tolist())
    handles.append(model[0].register_forward_hook(lambda module, inputs, output: output * 2))
    handles.append(model[0].register_forward_pre_hook(lambda module, inputs: inputs[0] + 1))
    handles.append(model.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 4,)))
    seen.append(model(x).tolist())
    for handle in handles:
        handle.remove()
    seen.append(model(x).tolist())
    return seen


def test_hooks_see_and_change_what_goes_in_and_what_comes_out() -> None:
    plain = [[0.0, 0.46211716532707214]]
    seen = _run(fl)
    assert seen[0] == [[[-1.0, 0.5]], [[0.0, 0.5]]]  # what went in, and what came out
    assert seen[1] == seen[-1] == plain
    assert seen[2] == [[[-3.0, 3.0]], [[0.0, 3.0]]]
    assert seen[3][0] == [0.0, fl.tensor(6.0).tanh().item()]


def test_pytorchs_hooks_are_called_at_the_same_places() -> None:
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(_run(fl), _run(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_layers_that_a_hook_collects_train_as_without_it() -> None:
    outputs: list[Any] = []
    model = fl.nn.Linear(3, 2, rng=0)
    model.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    model(fl.ones(1, 3)).sum().backward()
    assert model.weight.grad.tolist() == [[1.0] * 3] * 2
    assert outputs[0].requires_grad
    copied = copy.deepcopy(fl.nn.Linear(3, 2, rng=0))
    copied.register_forward_hook(lambda module, inputs, output: None)
    assert fl.nn.Linear(3, 2)._hooks is None  # a hook is its module's own


def test_an_error_under_a_hook_still_names_the_layer() -> None:
    model = fl.nn.Sequential(fl.nn.Linear(3, 2, rng=0))
    model[0].register_forward_hook(lambda module, inputs, output: output)
    with pytest.raises(fl.FloatlabError, match="In layer '0'"):
        model(fl.ones(1, 4))


def test_what_is_no_hook_is_refused_with_the_way_out() -> None:
    with pytest.raises(DtypeError, match=r"is a function.*Got int"):
        fl.nn.ReLU().register_forward_hook(3)
    with pytest.raises(AutogradError, match=r"output.register_hook"):
        fl.nn.ReLU().register_full_backward_hook(print)
    with pytest.raises(OptionError, match="_hooks"):
        fl.nn.ReLU().register_buffer("_hooks", fl.ones(1))
