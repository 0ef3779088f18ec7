"""Nothing remembered under a number, an id or a name is handed out for another one."""

import copy
import gc
import itertools
import math

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.amp import DelayedScaling, autocast, fp8_autocast
from floatlab.autograd import Tensor
from floatlab.autograd.rounding import is_narrow, is_subset
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.errors import StateError
from floatlab.formats import FloatFormat, get_format
from floatlab.optim.scalars import power
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import quantize
from floatlab.telemetry.updates import Updates


def recycled(make, ids, tries=5000):
    """Return a new object that lives where one of `ids` did, or skip the test where memory is not reused."""
    kept = []
    for _ in range(tries):
        kept.append(make())
        if id(kept[-1]) in ids:
            return kept[-1]
    pytest.skip("no id was used again")


def test_a_format_that_is_gone_does_not_speak_for_one_with_its_id():
    for narrow in itertools.chain.from_iterable(itertools.repeat((True, False), 500)):
        fmt = FloatFormat("same name", 5, 10) if narrow else FloatFormat("same name", 8, 23)
        assert is_narrow(fmt) is narrow
        assert is_subset(fmt, get_format("fp16")) is narrow


def test_formats_of_one_name_have_tables_of_their_own():
    x = np.linspace(-3, 3, 9001).astype(np.float32)  # long enough for every table
    for bias, specials in ((7, "fn"), (8, "fn"), (7, "ieee"), (7, "finite"), (7, "fn")):
        fmt, twin = (FloatFormat(name, 4, 3, bias, specials) for name in ("same name", f"{bias}{specials}"))
        np.testing.assert_array_equal(quantize(x, fmt), quantize(x, twin))
        np.testing.assert_array_equal(encode(x, fmt), encode(x, twin))
        np.testing.assert_array_equal(decode(encode(x, fmt), fmt), decode(encode(x, twin), twin))


def test_rules_of_equal_options_are_equal_and_others_are_not():
    fmt = get_format("e4m3")
    rules = {make_rule(fmt, "nearest_even", None, "gradual", flush) for flush in (False, True)}
    assert len(rules) == 2
    assert make_rule(fmt, "nearest_even", None, "gradual", 1).flush_inputs is True


def test_powers_of_equal_numbers_are_equal():
    assert power(0.0, 0) == power(-0.0, 0.0) == 1.0 and math.copysign(1, power(-0.0, 3)) == 1
    assert power(np.float64(0.9), 3) == power(0.9, 3.0) == float(np.float64(0.9) ** 3)


def test_a_tensor_takes_a_negative_zero_of_any_type():
    for zero in (-0.0, np.float32(-0.0), np.float16(-0.0), np.array(-0.0), 0.0, np.float32(0.0), 0):
        wanted = bool(np.signbit(zero))
        assert np.signbit((Tensor([1.0], format="fp16") * zero).data).tolist() == [wanted]


def stepped():
    w = Tensor(np.ones((2, 3)), requires_grad=True, format="fp16")
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = Tensor(np.ones((2, 3)), format="fp16")
    optimizer.step()
    return optimizer


def test_a_copied_optimizer_does_not_take_a_new_weight_for_one_that_is_gone():
    optimizer = stepped()
    copied = copy.deepcopy(optimizer)
    ids = {id(p) for p in optimizer.parameters()}
    del optimizer
    gc.collect()
    w = recycled(lambda: Tensor(np.ones(5), requires_grad=True, format="bf16"), ids)
    copied.add_param_group({"params": [w]})
    w.grad = Tensor(np.full(5, 0.3), format="bf16")
    copied.step()
    alone = Tensor(np.ones(5), requires_grad=True, format="bf16")
    other = optim.SGD([alone], lr=0.1, momentum=0.9)
    alone.grad = Tensor(np.full(5, 0.3), format="bf16")
    other.step()
    np.testing.assert_array_equal(w.data, alone.data)


def test_fp8_scales_of_a_weight_that_is_gone_are_not_those_of_a_new_one():
    recipe = fp8_autocast(DelayedScaling())
    x = Tensor([[1000.0, 2.0]])
    layer = nn.Linear(2, 2, rng=0)
    for _ in range(3):
        with recipe:
            layer(x).sum().backward()
    assert recipe.slots(layer.weight)["input"].scale != 1.0
    weight = Tensor(np.ones((2, 2)), requires_grad=True)
    entries = recipe._slots._entries
    entries[id(weight), ""] = entries.pop((id(layer.weight), ""))  # as if it lived where the other one did
    assert recipe._slots.of(weight, "")["input"].history == []
    assert recipe.slots(weight)["input"].scale == 1.0 and recipe.slots(weight)["input"].history == []


def test_fp8_scales_of_two_weights_of_one_name_are_not_merged():
    recipe = fp8_autocast(DelayedScaling())
    first, second = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
    with recipe:
        second(first(Tensor([[1.0, 2.0]]))).sum().backward()
    with pytest.raises(StateError, match="'weight' for a second weight"):
        recipe.state_dict()


def test_a_cast_weight_is_not_that_of_a_weight_which_is_gone():
    layers = []
    with autocast("bf16"):
        for value in range(1, 200):
            w = Tensor([[float(value)]], requires_grad=True)
            layers.append((Tensor([[1.0]]) @ w).item())  # the tensors may go at once
            del w
    assert layers == [float(quantize(float(v), "bf16")) for v in range(1, 200)]


def test_updates_are_named_by_parameters_that_still_exist():
    model = nn.Sequential(nn.Linear(2, 2, rng=0))
    optimizer = stepped()
    updates = Updates(model, [optimizer])
    ids = {id(p) for p in model.parameters()}
    del model
    gc.collect()
    kept = [Tensor([1.0], requires_grad=True) for _ in range(1000)]
    assert not ids & {id(p) for p in kept}  # their ids cannot be used again
    assert {updates._name(p) for p in kept[:3]} == {"parameter None"}
