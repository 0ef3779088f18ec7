"""Loss scaling: the state machine beside PyTorch's, its errors, presets, and what it is for."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch_answers import answers

from floatlab import nn, optim
from floatlab.amp import PRESETS, GradScaler, autocast
from floatlab.autograd import Tensor
from floatlab.errors import OptionError, ScalerError, StateError
from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize

BAD = (math.inf, -math.inf, math.nan)


def iteration(scaler: GradScaler, optimizer: optim.Optimizer, gradient: float) -> None:
    """One iteration whose only gradient is `gradient`, already scaled."""
    (w,) = optimizer.parameters()
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([gradient])
    scaler.step(optimizer)
    scaler.update()


def one_weight(fmt: str = "fp32", **options: Any) -> tuple[Tensor, optim.SGD]:
    w = Tensor([1.0], requires_grad=True, format=fmt, name="w")
    return w, optim.SGD([w], lr=1.0, **options)


# -- beside PyTorch ----------------------------------------------------------------------------------


def trace(seed: int) -> dict[str, Any]:
    """Draw the options of a scaler, and 80 iterations of two optimizers: gradients, and who does what."""
    rng = np.random.default_rng(seed)
    options = {
        "init_scale": float(rng.choice([1.0, 3.0, 1000.0, 65536.0, 2.0**126, 2.0**-20])),
        "growth_factor": float(rng.choice([2.0, 1.5, 3.0, 1.001])),
        "backoff_factor": float(rng.choice([0.5, 0.3, 0.9])),
        "growth_interval": int(rng.integers(1, 6)),
    }
    bad_share, iterations = rng.choice([0.05, 0.4]), []
    for _ in range(80):
        steps = []
        for size in (2, 1)[: 2 if rng.random() < 0.8 else 1]:  # sometimes the second one does not step
            g = rng.normal(size=size).astype(np.float32)
            if rng.random() < bad_share:
                g[rng.integers(g.size)] = rng.choice(BAD)
            steps.append((g, rng.random() < 0.3))
        iterations.append((steps, rng.random() < 0.05))
    return {"options": options, "iterations": iterations}


def follow(
    scaler: Any, optimizers: list[Any], weights: list[Any], tensor: Any, tracker: Any, drawn: Any
) -> Any:
    """Go through the iterations, and return scale, tracker, weights and unscaled gradients after each."""
    seen = []
    for steps, is_set in drawn["iterations"]:
        scaler.scale(tensor(np.float32(1.0)))
        row = []
        for w, optimizer, (g, unscales) in zip(weights, optimizers, steps, strict=False):
            w.grad = tensor(g.copy())
            if unscales:
                scaler.unscale_(optimizer)
                row += np.asarray(getattr(w.grad, "data", w.grad)).tolist()
            scaler.step(optimizer)
        scaler.update(*([512.0] if is_set else []))
        row += [scaler.get_scale(), float(tracker())]
        for w in weights:
            row += np.asarray(w.data).tolist()
        seen += row
    return np.array(seen)


@pytest.mark.parametrize("seed", range(12))
def test_scale_tracker_and_skips_follow_torch_step_by_step(seed: int) -> None:
    drawn = trace(seed)
    starts = [[1.0, 2.0], [3.0]]

    def ask(torch: Any) -> Any:
        scaler = torch.amp.GradScaler("cpu", **drawn["options"])
        weights = [torch.tensor(w, requires_grad=True) for w in starts]
        sgds = [torch.optim.SGD([w], lr=0.125) for w in weights]  # exact products: PyTorch fuses the addition
        seen = follow(scaler, sgds, weights, torch.tensor, scaler._get_growth_tracker, drawn)
        return [seen, np.array([float(x) for x in scaler.state_dict().values()])]

    gradients = [g for steps, _ in drawn["iterations"] for g, _ in steps]
    seen, state = answers(f"scaler {seed}", ask, list(drawn["options"].values()), *gradients)
    scaler = GradScaler(**drawn["options"])
    weights = [Tensor(w, requires_grad=True) for w in starts]
    sgds = [optim.SGD([w], lr=0.125) for w in weights]
    assert np.array_equal(
        follow(scaler, sgds, weights, Tensor, lambda: scaler.growth_tracker, drawn), seen, equal_nan=True
    )
    names = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
    assert [float(scaler.state_dict()[name]) for name in names] == state.tolist()


@pytest.mark.parametrize("stage", ["scaled", "unscaled", "stepped", "updated"])
def test_states_travel_to_torch_and_back_whatever_was_half_done(stage: str) -> None:
    def run(scaler: Any, sgd: Any, w: Any, tensor: Any) -> None:
        for g in (1.0, 2.0):
            scaler.scale(tensor(np.float32(1.0)))
            w.grad = tensor(np.float32([g]))
            if stage == "scaled" and g == 2.0:
                return
            if stage in ("unscaled", "stepped") and g == 2.0:
                scaler.unscale_(sgd)
                if stage == "unscaled":
                    return
            scaler.step(sgd)
            if stage == "stepped" and g == 2.0:
                return
            scaler.update()

    ours = GradScaler(init_scale=256.0, growth_interval=3)
    w, sgd = one_weight()
    run(ours, sgd, w, Tensor)

    def ask(torch: Any) -> Any:
        theirs = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
        v = torch.tensor([1.0], requires_grad=True)
        run(theirs, torch.optim.SGD([v], lr=1.0), v, torch.tensor)
        own = list(theirs.state_dict().items())
        theirs.load_state_dict(ours.state_dict())
        assert (theirs.get_scale(), theirs._init_growth_tracker) == (ours.get_scale(), ours.growth_tracker)
        assert own == list(theirs.state_dict().items())
        return [float(value) for _, value in own]

    names = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
    state = dict(zip(names, (float(x) for x in answers(f"scaler state {stage}", ask)), strict=True))
    assert {name: ours.state_dict()[name] for name in names} == state
    back = GradScaler()
    back.load_state_dict(state)
    assert (back.get_scale(), back.growth_tracker, back.get_growth_interval()) == (
        state["scale"],
        ours.growth_tracker,
        3,
    )


# -- what it does ------------------------------------------------------------------------------------


def test_a_step_with_an_infinity_or_a_nan_changes_no_weight() -> None:
    for bad in BAD:
        w, sgd = one_weight(momentum=0.9)
        scaler = GradScaler(8.0)
        iteration(scaler, sgd, bad)
        assert w.data.item() == 1.0
        assert sgd.state == {}
        assert scaler.get_scale() == 4.0
        assert scaler.last_step_was_skipped
        iteration(scaler, sgd, 2.0)
        assert w.data.item() == 0.5
        assert not scaler.last_step_was_skipped
        assert scaler.skipped_steps == 1


def test_the_scale_grows_after_the_interval_and_not_before() -> None:
    _, sgd = one_weight()
    scaler = GradScaler(8.0, growth_interval=3)
    scales = []
    for _ in range(7):
        iteration(scaler, sgd, 0.0)
        scales.append(scaler.get_scale())
    assert scales == [8.0, 8.0, 16.0, 16.0, 16.0, 32.0, 32.0]


def test_the_scale_stops_at_the_largest_power_of_two() -> None:
    _, sgd = one_weight()
    scaler = GradScaler(2.0**126, growth_interval=1)
    for _ in range(3):
        iteration(scaler, sgd, 0.0)
    assert scaler.get_scale() == 2.0**127


def test_the_inverse_is_a_float32_and_the_product_rounds_in_float32() -> None:
    gradients = np.random.default_rng(0).random(100).astype(np.float32)
    w, scaler = Tensor(np.zeros(100), requires_grad=True), GradScaler(3.0)
    sgd = optim.SGD([w])
    scaler.scale(Tensor(1.0))
    w.grad = Tensor(gradients)
    scaler.unscale_(sgd)
    assert np.array_equal(w.grad.data, gradients * np.float32(1 / 3))
    assert not np.array_equal(w.grad.data, gradients / np.float32(3))
    wide = Tensor([0.0], requires_grad=True, format="fp64")
    wide.grad = Tensor([1.0], format="fp64")
    scaler.unscale_(optim.SGD([wide]))
    assert wide.grad.item() == float(np.float32(1 / 3))


def test_a_static_scale_never_moves_and_still_skips() -> None:
    w, sgd = one_weight()
    scaler = GradScaler.static(8.0)
    for gradient in (math.inf, 1.0, math.nan):
        iteration(scaler, sgd, gradient)
        assert scaler.get_scale() == 8.0
    assert scaler.skipped_steps == 2
    assert w.data.item() == 1.0 - 1 / 8


def test_a_disabled_scaler_passes_everything_through() -> None:
    w, sgd = one_weight()
    scaler = GradScaler(enabled=False)
    loss = Tensor(1.0)
    assert scaler.scale(loss) is loss
    w.grad = Tensor([math.inf])
    scaler.unscale_(sgd)
    scaler.step(sgd)
    scaler.update()
    assert w.data.item() == -math.inf
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}
    scaler.load_state_dict({})


def test_scale_multiplies_nested_outputs() -> None:
    scaler = GradScaler(4.0)
    a, (b, c) = scaler.scale((Tensor(1.0), [Tensor(2.0), Tensor(3.0)]))
    assert (a.item(), b.item(), c.item()) == (4.0, 8.0, 12.0)


def test_an_fp16_loss_is_scaled_in_fp32() -> None:
    loss = Tensor(2.0, requires_grad=True, format="fp16")
    scaled = GradScaler().scale(loss)
    assert (scaled.item(), scaled.format.name) == (131072.0, "float32")


def test_gradients_accumulate_over_micro_batches_before_they_are_unscaled() -> None:
    w, sgd = one_weight()
    scaler = GradScaler(4.0)
    for _ in range(3):
        scaler.scale((w * 0.125).sum()).backward()
    assert w.grad is not None
    assert w.grad.data.item() == 1.5
    scaler.step(sgd)
    scaler.update()
    assert w.data.item() == 0.625


def test_clipping_belongs_after_unscaling() -> None:
    w, sgd = one_weight()
    scaler = GradScaler(1024.0)
    scaler.scale((w * 2.0).sum()).backward()
    scaler.unscale_(sgd)
    assert optim.clip_grad_norm_([w], 1.0) == 2.0
    scaler.step(sgd)
    scaler.update()
    assert w.data.item() == pytest.approx(0.0, abs=1e-5)


def test_gradients_of_weights_with_a_master_copy_are_unscaled_in_fp32() -> None:
    w, sgd = one_weight("fp16", master_weights=True)
    scaler = GradScaler(2.0**16)
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([2.0**-12], format="fp16")
    scaler.step(sgd)
    assert w.grad is not None
    assert w.grad.format.name == "float32"
    assert sgd.state[w]["master"].tolist() == [np.float32(1.0) - np.float32(2.0**-28)]


@given(
    st.integers(-20, 20),
    st.sampled_from(["fp32", "bf16", "fp16", "e5m2"]),
    st.integers(0, 2**32 - 1),
)
def test_a_power_of_two_scale_changes_no_bit_of_the_unscaled_gradients(
    power: int, fmt: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Linear(5, 3, rng=rng))
    x, labels = Tensor(rng.normal(size=(6, 4))), rng.integers(0, 3, 6)
    sgd = optim.SGD(model.parameters())

    def gradients(scale: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        scaler = GradScaler.static(scale)
        sgd.zero_grad()
        with autocast(fmt):
            loss = nn.functional.cross_entropy(model(x), labels)
        scaler.scale(loss).backward()
        raw = [p.grad.data.copy() for p in model.parameters()]
        scaler.unscale_(sgd)
        return raw, [p.grad.data.copy() for p in model.parameters()]

    # The narrow ranges start from a scale that lifts the gradients above their subnormals; the few nets with
    # a gradient near zero even so are left out.
    start, power = {"fp16": (2.0**8, power % 6), "e5m2": (2.0**4, power % 6)}.get(fmt, (1.0, power))
    raw, plain = gradients(start)
    assume(fmt in ("fp32", "bf16") or min(abs(g).min() for g in raw) > 2.0**-10)
    _, scaled = gradients(start * 2.0**power)
    for a, b in zip(plain, scaled, strict=True):
        assert np.array_equal(a, b)


# -- presets -----------------------------------------------------------------------------------------


def test_presets_differ_as_the_frameworks_do() -> None:
    assert PRESETS["torch"].init_scale == PRESETS["apex"].init_scale == 2.0**16
    assert (
        PRESETS["keras"].init_scale == PRESETS["tf_keras"].init_scale == PRESETS["jmp"].init_scale == 2.0**15
    )
    floors = {name: rule.min_scale for name, rule in PRESETS.items()}
    assert floors == {"torch": 0.0, "keras": 0.0, "tf_keras": 1.0, "jmp": 1.0, "apex": 0.0, "megatron": 1.0}
    assert PRESETS["apex"].max_scale == 2.0**24
    assert (PRESETS["megatron"].hysteresis, PRESETS["megatron"].growth_interval) == (2, 1000)


def test_a_floor_holds_where_there_is_one() -> None:
    for name, lowest in (("tf_keras", 1.0), ("keras", 0.25)):
        _, sgd = one_weight()
        scaler = GradScaler.preset(name, init_scale=2.0)
        for _ in range(3):
            iteration(scaler, sgd, math.inf)
        assert scaler.get_scale() == lowest


def test_a_ceiling_holds_where_there_is_one() -> None:
    _, sgd = one_weight()
    scaler = GradScaler.preset("apex", init_scale=2.0**23, growth_interval=1)
    for _ in range(3):
        iteration(scaler, sgd, 0.0)
    assert scaler.get_scale() == 2.0**24


def test_hysteresis_forgives_until_it_is_used_up_and_is_renewed_by_growth() -> None:
    # The same steps by hand: Megatron counts bad steps down, and sets the count back only when the scale
    # grows.
    _, sgd = one_weight()
    scaler = GradScaler.preset("megatron", init_scale=64.0, growth_interval=2)
    scales = []
    for good in (0, 1, 0, 0, 1, 1, 0, 0):
        iteration(scaler, sgd, 0.0 if good else math.inf)
        scales.append(scaler.get_scale())
    assert scales == [64.0, 64.0, 32.0, 16.0, 16.0, 32.0, 32.0, 16.0]


@pytest.mark.parametrize(
    "options",
    [
        {"init_scale": 0.0},
        {"init_scale": math.inf},
        {"init_scale": math.nan},
        {"init_scale": "cuda"},
        {"growth_factor": 1.0},
        {"backoff_factor": 1.0},
        {"backoff_factor": 0.0},
        {"growth_interval": 0},
        {"hysteresis": 0},
        {"min_scale": 2.0, "max_scale": 1.0},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        GradScaler(**options)


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ("growth_factor", np.float32(3.0), (1.0, 0.5, math.nan)),
        ("backoff_factor", 0.25, (0.0, 1.0, 2.0, math.nan)),
        ("growth_interval", np.int64(7), (0, -1)),
    ],
)
def test_a_setter_takes_what_the_constructor_takes_and_refuses_what_it_refuses(
    option: str, good: Any, bad: tuple[float, ...]
) -> None:
    scaler = GradScaler()
    for value in bad:
        before = getattr(scaler, f"get_{option}")()
        with pytest.raises(OptionError, match=option):
            getattr(scaler, f"set_{option}")(value)
        assert getattr(scaler, f"get_{option}")() == before
    getattr(scaler, f"set_{option}")(good)
    assert scaler.state_dict() == GradScaler(**{option: good}).state_dict()
    assert type(getattr(scaler, f"get_{option}")()) in (int, float)


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(OptionError, match='"keras"'):
        GradScaler.preset("kears")


# -- out of order ------------------------------------------------------------------------------------


def prepared(fmt: str = "fp32") -> tuple[GradScaler, optim.SGD]:
    w, sgd = one_weight(fmt)
    scaler = GradScaler(8.0)
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([1.0], format=fmt)
    return scaler, sgd


def test_unscaling_twice_is_an_error() -> None:
    scaler, sgd = prepared()
    scaler.unscale_(sgd)
    with pytest.raises(ScalerError, match="once"):
        scaler.unscale_(sgd)


def test_unscaling_after_the_step_is_an_error() -> None:
    scaler, sgd = prepared()
    scaler.step(sgd)
    with pytest.raises(ScalerError, match="after step"):
        scaler.unscale_(sgd)


def test_stepping_twice_before_an_update_is_an_error() -> None:
    scaler, sgd = prepared()
    scaler.step(sgd)
    with pytest.raises(ScalerError, match="second time"):
        scaler.step(sgd)
    scaler.update()
    scaler.step(sgd)


@pytest.mark.parametrize("fmt", ["fp16", "e5m2", "e4m3"])
def test_gradients_in_a_narrow_range_cannot_be_unscaled(fmt: str) -> None:
    scaler, sgd = prepared(fmt)
    before = sgd.parameters()[0].grad.data.copy()  # type: ignore[union-attr]
    with pytest.raises(ScalerError, match="'w'"):
        scaler.step(sgd)
    assert np.array_equal(sgd.parameters()[0].grad.data, before)  # type: ignore[union-attr]


def test_bf16_gradients_can_be_unscaled_as_in_torch() -> None:
    scaler, sgd = prepared("bf16")
    scaler.step(sgd)
    assert sgd.parameters()[0].data.item() == 0.875


def test_nothing_to_unscale_is_an_error() -> None:
    _, sgd = one_weight()
    scaler = GradScaler()
    scaler.scale(Tensor(1.0))
    with pytest.raises(ScalerError, match="none"):
        scaler.step(sgd)


def test_an_update_without_a_step_is_an_error() -> None:
    scaler = GradScaler()
    with pytest.raises(ScalerError, match="before any scale"):
        scaler.update()
    scaler.scale(Tensor(1.0))
    with pytest.raises(ScalerError, match="follows step"):
        scaler.update()


def test_a_step_before_anything_was_scaled_is_an_error() -> None:
    w, sgd = one_weight()
    w.grad = Tensor([1.0])
    with pytest.raises(ScalerError, match="before any scale"):
        GradScaler().step(sgd)


def test_a_closure_and_what_is_no_tensor_are_refused() -> None:
    scaler, sgd = prepared()
    with pytest.raises(ScalerError, match="closure"):
        scaler.step(sgd, closure=lambda: 0.0)
    with pytest.raises(ScalerError, match="float"):
        scaler.scale(1.0)


# -- state -------------------------------------------------------------------------------------------


def test_a_scaler_goes_on_from_its_state() -> None:
    def run(scaler: GradScaler, pattern: list[float]) -> list[float]:
        _, sgd = one_weight()
        scales = []
        for gradient in pattern:
            iteration(scaler, sgd, gradient)
            scales.append(scaler.get_scale())
        return scales

    pattern = [0.0, math.inf, 0.0, 0.0, 0.0, math.inf, math.inf, 0.0, 0.0]
    whole = run(GradScaler.preset("megatron", growth_interval=3), pattern)
    first = GradScaler.preset("megatron", growth_interval=3)
    start = run(first, pattern[:4])
    second = GradScaler()
    second.load_state_dict(first.state_dict())
    assert start + run(second, pattern[4:]) == whole


def test_a_foreign_state_is_refused_and_changes_nothing() -> None:
    scaler = GradScaler(8.0)
    for state in ({}, {"scale": 2.0}, {**scaler.state_dict(), "extra": 1}):
        with pytest.raises(StateError):
            scaler.load_state_dict(state)
        assert scaler.get_scale() == 8.0


def test_a_loss_in_float64_by_any_other_name_stays_as_wide() -> None:
    loss = Tensor(0.1, format=FloatFormat("mine", 11, 52))
    assert GradScaler(2.0).scale(loss).item() == 0.2


def test_an_unknown_change_of_a_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match='Use "growth_interval"'):
        GradScaler.preset("keras", growth_intervall=5)


# -- what is seen, what two optimizers share, and what a load forgets --------------------------------


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_value_that_is_not_finite_is_seen_wherever_it_stands(bad: float, place: int) -> None:
    w = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    sgd, scaler = optim.SGD([w], lr=1.0), GradScaler(8.0)
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([bad if i == place else 8.0 for i in range(3)])
    scaler.step(sgd)
    assert w.data.tolist() == [1.0, 1.0, 1.0] and scaler.last_step_was_skipped
    scaler.update()
    assert scaler.get_scale() == 4.0


@pytest.mark.parametrize("bad", [(True, False), (False, True), (True, True), (False, False)])
def test_one_optimizer_with_an_overflow_is_enough_for_the_scale_to_fall(bad: tuple[bool, bool]) -> None:
    weights = [Tensor([1.0], requires_grad=True) for _ in bad]
    optimizers, scaler = [optim.SGD([w], lr=1.0) for w in weights], GradScaler(8.0)
    scaler.scale(Tensor(1.0))
    for w, optimizer, overflow in zip(weights, optimizers, bad, strict=True):
        w.grad = Tensor([math.inf if overflow else 8.0])
        scaler.step(optimizer)
    scaler.update()
    assert [w.item() for w in weights] == [1.0 if overflow else 0.0 for overflow in bad]
    assert scaler.get_scale() == (4.0 if any(bad) else 8.0)


def test_a_loaded_state_forgets_what_was_half_done() -> None:
    w = Tensor([1.0], requires_grad=True)
    sgd, scaler = optim.SGD([w], lr=0.1), GradScaler(8.0)
    scaler.scale((w * 1.0).sum()).backward()
    scaler.unscale_(sgd)
    scaler.load_state_dict(GradScaler(4.0).state_dict())
    w.grad = None
    scaler.scale((w * 1.0).sum()).backward()
    scaler.unscale_(sgd)  # a new iteration: nothing is unscaled yet
    assert w.grad.item() == 1.0


@pytest.mark.parametrize("scale", [3.0, 7.0, 1000.0])
@pytest.mark.parametrize("fmt", ["bf16", "tf32"])
def test_gradients_stay_values_of_their_format_when_they_are_unscaled(fmt: str, scale: float) -> None:
    w = Tensor([1.0, 1.0], requires_grad=True, format=fmt)
    sgd, scaler = optim.SGD([w], lr=0.1), GradScaler(scale)
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([1.0, 5.0], format=fmt)
    scaler.unscale_(sgd)
    inverse = np.float32(1.0 / np.float64(np.float32(scale)))
    assert w.grad.data.tolist() == quantize(np.float32([1.0, 5.0]) * inverse, fmt).tolist()


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0**128])
def test_a_scale_that_is_set_lies_above_zero_and_is_finite(scale: float) -> None:
    w = Tensor([1.0], requires_grad=True)
    sgd, scaler = optim.SGD([w], lr=0.1), GradScaler(8.0)
    scaler.scale((w * 1.0).sum()).backward()
    scaler.step(sgd)
    with pytest.raises(OptionError, match="above 0"):
        scaler.update(scale)
    scaler.update(2.0**127)
    assert scaler.get_scale() == 2.0**127


# -- a scale that cannot be taken off ------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2.0**-120, 2.0**-140])
@pytest.mark.parametrize("gradient", [0.0, 1.0])
def test_a_scale_that_has_sunk_is_no_reason_for_nan_weights(scale: float, gradient: float) -> None:
    w, sgd = one_weight()
    scaler = GradScaler(scale)
    while scaler.get_scale() > 0.0:  # every step is bad, whatever the scale
        iteration(scaler, sgd, math.nan)
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([gradient])
    with pytest.raises(ScalerError, match=r"sunk to 0.0 in \d+ skipped steps.*min_scale=1"):
        scaler.step(sgd)
    assert w.item() == 1.0
    assert w.grad.item() == gradient


def test_a_subnormal_scale_without_an_inverse_is_no_scale_either() -> None:
    w, sgd = one_weight()
    scaler = GradScaler(2.0**-128)  # its inverse, 2^128, is no fp32 number
    scaler.scale(Tensor(1.0))
    w.grad = Tensor([0.0])
    with pytest.raises(ScalerError, match="sunk"):
        scaler.unscale_(sgd)
    scaler = GradScaler(2.0**-127)
    scaler.scale(Tensor(1.0))
    scaler.unscale_(sgd)
    assert w.grad.item() == 0.0


def test_a_scale_moves_down_to_zero_as_in_torch() -> None:
    def run(scaler: Any, sgd: Any, w: Any, tensor: Any, tracker: Any) -> Any:
        seen = []
        for _ in range(300):
            scaler.scale(tensor(np.float32(1.0)))
            w.grad = tensor(np.float32([math.inf]))
            scaler.step(sgd)
            scaler.update()
            seen += [scaler.get_scale(), float(tracker())]
        return np.array(seen)

    def ask(torch: Any) -> Any:
        scaler = torch.amp.GradScaler("cpu")
        v = torch.tensor([1.0], requires_grad=True)
        return run(scaler, torch.optim.SGD([v], lr=1.0), v, torch.tensor, scaler._get_growth_tracker)

    w, sgd = one_weight()
    scaler = GradScaler()
    ours = run(scaler, sgd, w, Tensor, lambda: scaler.growth_tracker)
    assert np.array_equal(ours, answers("a scale that sinks", ask))
    assert ours[-2] == 0.0


STATE = {
    "scale": 8.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 4,
    "_growth_tracker": 1,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("scale", value) for value in (math.nan, 0.0, -1.0, math.inf, "8", None, True, 1e39, 1e-46)),
        *(("_growth_tracker", value) for value in (-1, 1.5, "1", None)),
        *(("growth_interval", value) for value in (0, 2.5, "4", True)),
        *(("growth_factor", value) for value in (1.0, math.nan, math.inf, "2")),
        *(("backoff_factor", value) for value in (0.0, 1.0, math.nan, "0.5")),
        *(("min_scale", value) for value in (-1.0, math.nan, "0")),
        *(("max_scale", value) for value in (-1.0, math.nan, "0")),
        *(("hysteresis", value) for value in (0, 1.5, "1")),
        *(("_hysteresis_left", value) for value in (-1, 1.5)),
        ("skipped_steps", -1),
        ("dynamic", "yes"),
    ],
)
def test_a_saved_value_that_no_scaler_has_is_refused_and_changes_nothing(key: str, value: Any) -> None:
    scaler = GradScaler(4.0)
    before = scaler.state_dict()
    with pytest.raises(StateError, match=key.strip("_")):
        scaler.load_state_dict({**STATE, key: value})
    assert scaler.state_dict() == before
    scaler.load_state_dict(STATE)


@pytest.mark.parametrize("state", [5, None, "state", []])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(StateError):
        GradScaler().load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init_scale": 0.5, "min_scale": 1.0}, "init_scale lies between min_scale=1"),
        ({"init_scale": 2.0**20, "max_scale": 2.0**10}, "init_scale lies between"),
        ({"growth_interval": 2.5}, "growth_interval is a whole number"),
        ({"growth_interval": True}, "growth_interval"),
        ({"growth_interval": "2"}, "growth_interval"),
        ({"hysteresis": 1.5}, "hysteresis"),
        ({"growth_factor": math.inf}, "growth_factor"),
        ({"growth_factor": "2"}, "growth_factor is a number"),
        ({"init_scale": None}, "init_scale is a number"),
        ({"init_scale": math.nan}, "init_scale"),
        ({"min_scale": -1.0}, "min_scale"),
        ({"min_scale": math.nan}, "min_scale"),
        ({"max_scale": "high"}, "max_scale"),
        ({"enabled": "yes"}, "enabled is True or False"),
        ({"dynamic": 2}, "dynamic is True or False"),
        ({"device": "graphics"}, "device is one of"),
        ({"device": 3}, "device is one of"),
    ],
)
def test_a_rule_that_no_scale_can_follow_is_refused(options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        GradScaler(**options)


@pytest.mark.parametrize(
    ("setter", "value"),
    [("set_growth_interval", 2.5), ("set_growth_factor", "2"), ("set_backoff_factor", math.nan)],
)
def test_a_rule_is_held_when_it_is_changed_too(setter: str, value: Any) -> None:
    scaler = GradScaler()
    with pytest.raises(OptionError):
        getattr(scaler, setter)(value)


# -- as it is typed for PyTorch --------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "cpu", "mps", "cuda:0"])
def test_the_name_of_a_device_is_taken_and_means_nothing(device: str) -> None:
    for scaler in (
        GradScaler(device, 256.0, 3.0),
        GradScaler(device, init_scale=256.0, growth_factor=3.0),
        GradScaler(device=device, init_scale=256.0, growth_factor=3.0),
        GradScaler(256.0, 3.0),
    ):
        assert scaler.state_dict() == GradScaler(init_scale=256.0, growth_factor=3.0).state_dict()
    assert not GradScaler(device, enabled=False).is_enabled()
    assert not GradScaler(8.0, 2.0, 0.5, 10, False).is_enabled()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GradScaler("keras"), "preset"),
        (lambda: GradScaler(8.0, init_scale=4.0), "given once"),
        (lambda: GradScaler("cuda", 8.0, 2.0, 0.5, 10, True, 3), "by position"),
        (lambda: GradScaler().unscale_(nn.Linear(1, 1, rng=0)), "Got Linear. Pass the optimizer"),
        (lambda: GradScaler().step(nn.Linear(1, 1, rng=0)), "Got Linear. Pass the optimizer"),
        (lambda: GradScaler(enabled=False).step(None), "Got NoneType"),
        (lambda: GradScaler.static("a"), "init_scale is a number"),
    ],
)
def test_a_call_that_means_nothing_is_told_what_to_write(make: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make()


def test_a_scale_is_set_by_a_number_or_a_tensor_of_one() -> None:
    scaler = GradScaler()
    scaler.scale(Tensor(1.0))
    scaler.update(Tensor(64.0))
    assert scaler.get_scale() == 64.0
    with pytest.raises(OptionError, match="Got 'high'"):
        scaler.update("high")  # type: ignore[arg-type]
