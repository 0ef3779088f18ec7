"""Optimizers: formats of weights and state, rounding of the update, groups, bad input, state."""

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, OptionError, OverflowPolicyError, StateError
from floatlab.formats import FloatFormat, get_format
from floatlab.optim.scalars import cosine_of_pi, power
from floatlab.rounding.quantize import quantize

ALL = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Lion", "RMSprop", "Adagrad", "Adadelta"]


def weight(values: Any, fmt: str = "fp32", grad: Any = None) -> Tensor:
    w = Tensor(values, requires_grad=True, format=fmt)
    if grad is not None:
        w.grad = Tensor(grad, format=fmt)
    return w


# -- formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e5m2", "e4m3"])
def test_an_update_below_half_an_ulp_is_lost_in_a_pure_format(fmt: str) -> None:
    w = weight([1.0], fmt)
    ulp = w.format.eps
    for update, expected in ((ulp * 0.25, 1.0), (ulp, 1.0 + ulp)):
        w = weight([1.0], fmt, [-update])
        optim.SGD([w], lr=1.0).step()
        assert w.data.tolist() == [expected]


def test_a_master_copy_keeps_what_the_weights_cannot_hold() -> None:
    w = weight([1.0], "fp16")
    sgd = optim.SGD([w], lr=1.0, master_weights=True)
    for _ in range(64):
        w.grad = Tensor([-(2.0**-16)], format="fp16")  # an eighth of half an ulp
        sgd.step()
    assert sgd.state[w]["master"].tolist() == [1.0 + 2.0**-10]
    assert w.data.tolist() == [1.0 + 2.0**-10]
    frozen = weight([1.0], "fp16")
    pure = optim.SGD([frozen], lr=1.0)
    for _ in range(64):
        frozen.grad = Tensor([-(2.0**-16)], format="fp16")
        pure.step()
    assert frozen.data.tolist() == [1.0]


def test_pure_fp16_adam_flushes_its_epsilon_and_divides_zero_by_zero() -> None:
    w = weight([1.0, 1.0], "fp16", [0.0, 1.0])
    optim.Adam([w], lr=0.01).step()
    assert math.isnan(w.data[0])
    assert w.data[1] == pytest.approx(0.99, abs=1e-3)
    kept = weight([1.0, 1.0], "fp16", [0.0, 1.0])
    optim.Adam([kept], lr=0.01, master_weights=True).step()
    assert kept.data[0] == 1.0


def test_pure_bf16_adam_never_forgets_its_second_moment() -> None:
    w = weight([1.0], "bf16", [1.0])
    adam = optim.Adam([w], lr=0.0)
    adam.step()
    first = adam.state[w]["exp_avg_sq"].copy()
    w.grad = Tensor([0.0], format="bf16")
    for _ in range(50):
        adam.step()
    assert adam.state[w]["exp_avg_sq"] == first
    wide = weight([1.0], "fp32", [1.0])
    adam = optim.Adam([wide], lr=0.0)
    adam.step()
    wide.grad = Tensor([0.0])
    for _ in range(50):
        adam.step()
    assert adam.state[wide]["exp_avg_sq"] < 0.96 * first


def test_the_state_alone_can_have_a_narrow_format() -> None:
    w = weight([1.0, 2.0], "fp32", [0.1, 0.3])
    sgd = optim.SGD([w], lr=0.5, momentum=0.9, state_format="e4m3")
    sgd.step()
    assert sgd.state[w]["momentum_buffer"].tolist() == Tensor([0.1, 0.3], format="e4m3").data.tolist()
    assert (
        w.data.tolist()
        == (np.float32([1, 2]) - np.float32(0.5) * Tensor([0.1, 0.3], format="e4m3").data).tolist()
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e5m2", "e4m3", "fp64", "e8m23"])
def test_weights_and_state_are_values_of_their_formats(name: str, fmt: str) -> None:
    rng = np.random.default_rng(0)
    w = weight(rng.normal(size=20), fmt)
    step = getattr(optim, name)([w], lr=0.1, state_format="bf16")
    for _ in range(3):
        w.grad = Tensor(rng.normal(size=20), format=fmt)
        step.step()
    assert np.array_equal(w.data, Tensor(w.data, format=fmt).data, equal_nan=True)
    for value in step.state[w].values():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, Tensor(value, format="bf16").data, equal_nan=True)


def test_a_state_wider_than_the_weights_keeps_what_they_cannot() -> None:
    w = weight([1.0], "fp32", [1.0])
    sgd = optim.SGD([w], lr=0.0, momentum=1.0, state_format="fp64")
    for gradient in (1.0, 2.0**-30):
        w.grad = Tensor([gradient])
        sgd.step()
    assert sgd.state[w]["momentum_buffer"].tolist() == [1.0 + 2.0**-30]


def test_a_nan_in_a_format_without_one_is_an_error_and_no_wrong_number() -> None:
    w = weight([1.0], "e3m2", [0.0])
    with pytest.raises(OverflowPolicyError, match="NaN"):
        optim.Adam([w]).step()


def test_one_operation_of_a_pure_update_rounds_once() -> None:
    # w - lr g with w = 1 + 2^-10 and lr g = 2^-11 - 2^-24: the exact result lies 2^-24 above the
    # midpoint of 1 and
    # 1 + 2^-10. Rounding lr g to fp16 first would give 2^-11, then a tie, then the even 1.
    w = weight([1.0 + 2.0**-10], "fp16")
    w.grad = Tensor([2.0**-10 - 2.0**-23], format="fp32")
    optim.SGD([w], lr=0.5).step()
    assert w.data.tolist() == [1.0 + 2.0**-10]


def test_a_mean_that_forgets_everything_is_the_gradient_itself() -> None:
    w = weight([0.0], "fp32", [1e8])
    adam = optim.Adam([w], betas=(0.0, 0.999))
    adam.step()
    w.grad = Tensor([1.0])
    adam.step()
    assert adam.state[w]["exp_avg"].tolist() == [1.0]  # 1e8 + 1 * (1 - 1e8) would be 0 in fp32


# -- stochastic rounding -----------------------------------------------------------------------------


def test_stochastic_rounding_of_the_update_is_right_on_average() -> None:
    n = 40_000
    w = weight(np.ones(n), "bf16", np.full(n, -(2.0**-9)))  # a quarter of an ulp
    optim.SGD([w], lr=1.0, rounding="stochastic", rng=0).step()
    assert set(np.unique(w.data)) == {1.0, 1.0 + 2.0**-7}
    share = (w.data > 1.0).mean()
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / n)


def test_stochastic_rounding_can_be_replayed() -> None:
    def run(seed: int) -> list[float]:
        w = weight(np.ones(50), "bf16")
        sgd = optim.SGD([w], lr=1.0, momentum=0.9, rounding="stochastic", rng=seed)
        for _ in range(5):
            w.grad = Tensor(np.full(50, 2.0**-9), format="bf16")
            sgd.step()
        return w.data.tolist()

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_only_the_weights_are_rounded_at_random() -> None:
    # The generator is asked for one number a weight: neither the state nor an intermediate result takes any.
    w = weight(np.ones(50), "bf16", np.full(50, 0.3))
    adam = optim.Adam([w], lr=0.01, rounding="stochastic", rng=7)
    adam.step()
    other = np.random.default_rng(7)
    quantize(np.full(50, 0.3), "bf16", rounding="stochastic", rng=other)
    assert adam.rng is not None
    assert adam.rng.bit_generator.state == other.bit_generator.state


def test_stochastic_rounding_without_a_generator_is_refused() -> None:
    for option in ("rounding", "state_rounding"):
        with pytest.raises(OptionError, match="rng"):
            optim.SGD([weight([1.0])], **{option: "stochastic"})


# -- scalars -----------------------------------------------------------------------------------------


def test_powers_are_correctly_rounded() -> None:
    for base in (0.9, 0.999, 0.95, 0.5):
        for exponent in (0, 1, 2, 10, 333, 2000):
            exact = Fraction(base) ** exponent
            assert power(base, exponent) == exact.numerator / exact.denominator
    assert power(0.0, 3) == 0.0
    assert power(0.0, 0) == 1.0
    assert power(0.96, 0.004) == pytest.approx(0.96**0.004, rel=1e-15)


def test_the_cosine_is_right_in_every_quadrant() -> None:
    for n in range(-5, 50):
        assert cosine_of_pi(n, 12) == pytest.approx(math.cos(math.pi * n / 12), abs=1e-14)
    assert [cosine_of_pi(n, 2) for n in range(5)] == [1.0, 0.0, -1.0, 0.0, 1.0]


# -- groups, closures, bad input ---------------------------------------------------------------------


def test_a_group_can_have_options_of_its_own() -> None:
    a, b = weight([1.0], grad=[1.0]), weight([1.0], grad=[1.0])
    sgd = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.25)
    sgd.step()
    assert (a.data.item(), b.data.item()) == (0.5, 0.75)


def test_a_parameter_without_gradient_is_left_alone() -> None:
    a, b = weight([1.0], grad=[1.0]), weight([1.0])
    adam = optim.Adam([a, b], lr=0.5, weight_decay=1.0)
    adam.step()
    assert b.data.item() == 1.0
    assert b not in adam.state


def test_a_closure_is_called_and_its_result_returned() -> None:
    w = weight([1.0])

    def closure() -> float:
        w.grad = Tensor([1.0])
        return 7.0

    assert optim.SGD([w], lr=0.5).step(closure) == 7.0
    assert w.data.item() == 0.5


def test_a_step_is_a_change_that_a_graph_notices() -> None:
    w = weight([2.0], grad=[1.0])
    y = (w * w).sum()
    optim.SGD([w], lr=0.5).step()
    with pytest.raises(AutogradError, match="changed"):
        y.backward()


def test_the_state_is_updated_in_place() -> None:
    w = weight([2.0], grad=[1.0])
    array = w.array
    optim.SGD([w], lr=0.5).step()
    assert w.array is array
    assert array.item() == 1.5


def test_zero_grad_forgets_or_fills() -> None:
    w = weight([2.0], grad=[1.0])
    sgd = optim.SGD([w])
    sgd.zero_grad(set_to_none=False)
    assert w.grad is not None
    assert w.grad.data.tolist() == [0.0]
    sgd.zero_grad()
    assert w.grad is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.SGD([]), "none"),
        (lambda: optim.SGD([1.0]), "float"),  # type: ignore[list-item]
        (lambda: optim.SGD([weight([1.0]) * 2]), "leaf"),
        (lambda: optim.SGD([(w := weight([1.0])), w]), "second time"),
        (lambda: optim.SGD([weight([1.0])], lr=-1.0), "lr"),
        (lambda: optim.SGD([weight([1.0])], lr=math.nan), "lr"),
        (lambda: optim.SGD([weight([1.0])], nesterov=True), "Nesterov"),
        (lambda: optim.Adam([weight([1.0])], betas=(0.9, 1.0)), "betas"),
        (lambda: optim.Adam([weight([1.0])], eps=-1.0), "eps"),
        (lambda: optim.Adadelta([weight([1.0])], rho=2.0), "rho"),
        (lambda: optim.SGD([weight([1.0], "fp64")], master_weights=True), "float64"),
        (lambda: optim.SGD([{"params": [weight([1.0])], "beta": 1}]), "'beta'"),
    ],
)
def test_bad_input_is_refused_by_name(make: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make()


def test_named_parameters_give_their_names() -> None:
    model = nn.Sequential(nn.Linear(2, 2, rng=0))
    sgd = optim.SGD(model.named_parameters())
    assert [p.name for p in sgd.parameters()] == ["0.weight", "0.bias"]


def test_a_parameter_in_no_optimizer_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 1, rng=0))
    first = optim.SGD(model[0].parameters())
    with pytest.raises(OptionError, match=r"1\.weight, 1\.bias"):
        optim.require_all(model.named_parameters(), first)
    optim.require_all(model.named_parameters(), first, optim.SGD(model[1].parameters()))


# -- clipping ----------------------------------------------------------------------------------------


def test_the_norm_neither_over_nor_underflows() -> None:
    assert optim.grad_norm([weight([1.0, 1.0], grad=[3e30, 4e30])]) == pytest.approx(5e30)
    assert optim.grad_norm([weight([1.0, 1.0], grad=[3e-40, 4e-40])]) == pytest.approx(5e-40, rel=1e-4)
    assert optim.grad_norm([weight([1.0])]) == 0.0


def test_clipped_gradients_stay_in_their_format() -> None:
    w = weight([0.0, 0.0], "fp16", [3.0, 4.0])
    optim.clip_grad_norm_([w], 1.0)
    assert w.grad is not None
    assert np.array_equal(w.grad.data, Tensor(w.grad.data, format="fp16").data)
    assert w.grad.format.name == "float16"


def test_a_norm_that_is_not_finite_is_an_error_on_request() -> None:
    w = weight([0.0, 0.0], grad=[math.inf, 4.0])
    with pytest.raises(AutogradError, match="inf"):
        optim.clip_grad_norm_([w], 1.0, error_if_nonfinite=True)
    assert w.grad is not None
    assert w.grad.data.tolist() == [math.inf, 4.0]
    assert optim.clip_grad_norm_([w], 1.0) == math.inf


def test_bad_limits_are_refused() -> None:
    with pytest.raises(OptionError, match="norm_type"):
        optim.clip_grad_norm_([weight([1.0])], 1.0, norm_type=3.0)
    with pytest.raises(OptionError, match="clip_value"):
        optim.clip_grad_value_([weight([1.0])], -1.0)


# -- schedules ---------------------------------------------------------------------------------------


def test_a_schedule_resumes_where_it_stopped() -> None:
    def start() -> tuple[optim.SGD, optim.LRScheduler]:
        sgd = optim.SGD([weight([1.0])], lr=0.1)
        return sgd, optim.LinearWarmup(sgd, 3, after=optim.CosineAnnealingLR(sgd, 10))

    _, schedule = start()
    for _ in range(7):
        schedule.step()
    _, other = start()
    other.load_state_dict(schedule.state_dict())
    assert other.get_last_lr() == schedule.get_last_lr()
    schedule.step()
    other.step()
    assert other.get_last_lr() == schedule.get_last_lr()


def test_bad_schedules_are_refused() -> None:
    sgd = optim.SGD([weight([1.0])], lr=0.1)
    for make in (
        lambda: optim.StepLR(sgd, 0),
        lambda: optim.CosineAnnealingLR(sgd, 0),
        lambda: optim.LinearWarmup(sgd, 0),
        lambda: optim.LambdaLR(sgd, [lambda n: 1.0, lambda n: 1.0]),
        lambda: optim.LinearWarmup(sgd, 1, after=optim.StepLR(optim.SGD([weight([1.0])]), 1)),
    ):
        with pytest.raises(OptionError):
            make()
    with pytest.raises(StateError, match="StepLR"):
        optim.CosineAnnealingLR(sgd, 5).load_state_dict(optim.StepLR(sgd, 1).state_dict())


# -- the same bits everywhere ------------------------------------------------------------------------


def digest() -> str:
    """Train with every optimizer, in fp32, under fp16 autocast and in pure bf16; hash all the weights."""
    import hashlib

    from floatlab.amp import CurrentScaling, GradScaler, autocast, fp8_autocast

    sha = hashlib.sha256()
    for name in ALL:
        for setting in ("fp32", "fp16", "pure bf16", "fp8"):
            rng = np.random.default_rng(5)
            model = nn.Sequential(
                nn.Linear(33, 40, rng=rng), nn.Tanh(), nn.LayerNorm(40), nn.Linear(40, 3, rng=rng)
            )
            fmt = "bf16" if setting == "pure bf16" else "fp32"
            model.to(fmt)
            optimizer = getattr(optim, name)(model.parameters(), lr=0.05)
            schedule = optim.CosineAnnealingLR(optimizer, 7)
            scaler = GradScaler(enabled=setting == "fp16")
            for _ in range(3):
                x, labels = Tensor(rng.random((50, 33)), format=fmt), rng.integers(0, 3, 50)
                optimizer.zero_grad()
                with (
                    autocast(enabled=setting == "fp16"),
                    fp8_autocast(CurrentScaling(), enabled=setting == "fp8"),
                ):
                    loss = nn.functional.cross_entropy(model(x), labels)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                optim.clip_grad_norm_(model.parameters(), 0.1)
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
            for p in model.parameters():
                sha.update(p.data.tobytes())
    return sha.hexdigest()


def without_wide_vectors() -> dict[str, str]:
    """Return an environment in which NumPy and OpenBLAS use nothing that a CPU of 2008 lacks."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    features = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": "Nehalem"}


def test_a_seed_gives_the_same_training_whatever_the_cpu_and_the_blas() -> None:
    code = "from tests.optim.test_optim import digest; print(digest())"
    settings = (
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "4"},
        without_wide_vectors(),
    )
    found = set()
    for extra in settings:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, **extra},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(run.stdout.strip())
    assert len(found) == 1


# -- names of formats and of options -----------------------------------------------------------------

SHORT16 = FloatFormat("float16", 4, 3)  # formats that carry the name of another one
SHORT32 = FloatFormat("float32", 5, 2)
SHORT64 = FloatFormat("float64", 5, 2)
MY32 = FloatFormat("mine", 8, 23)


@pytest.mark.parametrize("fmt", [SHORT16, SHORT32, SHORT64], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_a_format_named_as_another_is_rounded_to_its_own_values(name: str, fmt: FloatFormat) -> None:
    honest = FloatFormat("honest", fmt.exponent_bits, fmt.mantissa_bits)
    results = []
    for kind in (fmt, honest):
        w = Tensor([1.0, -0.75, 3.0], requires_grad=True, format=kind)
        optimizer = getattr(optim, name)([w], lr=0.3)
        for step in range(4):
            w.grad = Tensor([0.3, -0.7, 0.1 * step], format=kind)
            optimizer.step()
        state = [v for v in optimizer.state[w].values() if isinstance(v, np.ndarray)]
        for array in (w.data, *state):
            assert np.array_equal(array, quantize(array, honest), equal_nan=True)
        results.append(w.data)
    assert np.array_equal(*results, equal_nan=True)


def test_a_state_format_named_float32_is_rounded_to_its_own_values() -> None:
    w = weight([1.0])
    sgd = optim.SGD([w], lr=0.1, momentum=0.9, state_format=SHORT32)
    for _ in range(3):
        w.grad = Tensor([0.3])
        sgd.step()
    momentum = sgd.state[w]["momentum_buffer"]
    assert np.array_equal(momentum, quantize(momentum, SHORT32))


def test_float32_by_any_other_name_gives_the_same_weights() -> None:
    results = []
    for fmt in ("float32", MY32):
        w = Tensor([1.0, -0.7], requires_grad=True, format=fmt)
        adam = optim.Adam([w], lr=0.01, weight_decay=0.1)
        for _ in range(5):
            w.grad = Tensor([0.1, 0.3], format=fmt)
            adam.step()
        results.append(w.data.tobytes())
    assert results[0] == results[1]


def test_gradients_are_clipped_alike_in_float32_by_any_other_name() -> None:
    results = []
    for fmt in ("float32", MY32):
        w = Tensor(np.zeros(50), requires_grad=True, format=fmt)
        w.grad = Tensor(np.linspace(0.1, 3.0, 50), format=fmt)
        optim.clip_grad_norm_([w], 0.7)
        results.append(w.grad.data.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("state_format", [None, SHORT16])
def test_a_state_is_not_loaded_into_another_format_of_the_same_name(state_format: FloatFormat | None) -> None:
    other = FloatFormat("float16", 5, 10)
    saved = optim.Adam([weight([1.0], SHORT16)], state_format=state_format).state_dict()
    optim.Adam([weight([1.0], SHORT16)], state_format=state_format).load_state_dict(saved)
    with pytest.raises(StateError, match=f"Got {SHORT16.spec} for float16"):
        optim.Adam([weight([1.0], other)], state_format=state_format).load_state_dict(saved)
    if state_format is not None:
        with pytest.raises(StateError, match=f"Got state_format='{SHORT16.spec}' for state_format='float16'"):
            optim.Adam([weight([1.0], SHORT16)], state_format=other).load_state_dict(saved)


def test_a_state_is_loaded_into_the_same_format_by_another_name() -> None:
    mine, yours = FloatFormat("mine", 5, 6), FloatFormat("yours", 5, 6)
    saved = optim.Adam([weight([1.0], mine)], state_format=SHORT16).state_dict()
    same = FloatFormat("short", *saved_layout(SHORT16))
    optim.Adam([weight([1.0], yours)], state_format=same).load_state_dict(saved)


def saved_layout(fmt: FloatFormat) -> list[object]:
    """Return the fields of a format as older files hold them, beside its name."""
    return [fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.specials, fmt.signed]


@pytest.mark.parametrize("fmt", [get_format("bf16"), FloatFormat("mine", 5, 6), SHORT16], ids=str)
@pytest.mark.parametrize("with_layout", [False, True])
def test_a_state_of_an_older_file_is_still_loaded(fmt: FloatFormat, with_layout: bool) -> None:
    if fmt == SHORT16 and not with_layout:
        return  # "float16" and no more: nobody can know what it was
    saved = optim.Adam([weight([1.0], fmt)], state_format=fmt).state_dict()
    saved["settings"]["state_format"] = saved["param_groups"][0]["params"][0]["format"] = fmt.name
    if with_layout:
        saved["settings"]["state_layout"] = saved_layout(fmt)
        saved["param_groups"][0]["params"][0]["layout"] = saved_layout(fmt)
    optim.Adam([weight([1.0], fmt)], state_format=fmt).load_state_dict(saved)
    with pytest.raises(StateError, match="float32"):
        optim.Adam([weight([1.0], "fp32")], state_format=fmt).load_state_dict(saved)
    with pytest.raises(StateError, match="state_format='float32'"):
        optim.Adam([weight([1.0], fmt)], state_format="fp32").load_state_dict(saved)


def test_a_model_converted_under_its_optimizer_is_refused() -> None:
    model = nn.Linear(1, 1, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    for p in model.parameters():
        p.grad = Tensor(np.ones(p.shape))
    sgd.step()
    model.to("bf16")
    for p in model.parameters():
        p.grad = Tensor(np.ones(p.shape), format="bf16")
    with pytest.raises(OptionError, match=r"keeps its format.*bfloat16, first stepped in float32"):
        sgd.step()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [
        ("rounding", "nearest_evn", "nearest_even"),
        ("state_rounding", "toward_zer", "toward_zero"),
        ("roundng", "nearest_even", "rounding"),
        ("master_weight", True, "master_weights"),
        ("weigth_decay", 0.1, "weight_decay"),
        ("state_fromat", "fp16", "state_format"),
        ("learning_rate", 0.1, "rounding|lr"),
    ],
)
def test_an_unknown_option_is_refused_when_the_optimizer_is_made(
    name: str, option: str, value: Any, nearest: str
) -> None:
    with pytest.raises(OptionError, match=f"Got .*({nearest}|one of these names)"):
        getattr(optim, name)([weight([1.0])], **{option: value})


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", ["0.1", None, math.nan, True, [0.1]])
def test_a_learning_rate_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match="lr is a number"):
        getattr(optim, name)([weight([1.0])], lr=value)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, "x"), (0.9, 0.99, 0.999), None])
def test_betas_are_two_numbers(betas: Any) -> None:
    with pytest.raises(OptionError, match="two numbers"):
        optim.Adam([weight([1.0])], betas=betas)


def test_an_unknown_option_of_a_group_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match='Use "momentum"'):
        optim.SGD([{"params": [weight([1.0])], "momentun": 0.9}])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.StepLR(o, 2.5), "step_size is at least 1.*2.5"),
        (lambda o: optim.StepLR(o, True), "step_size"),
        (lambda o: optim.StepLR(o, "2"), "step_size"),
        (lambda o: optim.StepLR(o, 2, math.nan), "gamma is a finite number"),
        (lambda o: optim.StepLR(o, 2, "0.1"), "gamma"),
        (lambda o: optim.CosineAnnealingLR(o, 2.5), "T_max"),
        (lambda o: optim.CosineAnnealingLR(o, 2, math.inf), "eta_min"),
        (lambda o: optim.LinearWarmup(o, 1.5), "steps"),
        (lambda o: optim.LinearWarmup(o, 2, "half"), "start_factor"),
        (lambda o: optim.LambdaLR(o, 0.5), "function of the step"),
        (lambda o: optim.StepLR([o], 2), "an optimizer"),
    ],
)
def test_a_schedule_refuses_what_it_cannot_follow(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(optim.SGD([weight([1.0])], lr=1.0))


def test_a_schedule_takes_numbers_of_numpy_whatever_was_asked_before() -> None:
    from floatlab.optim import scalars

    scalars._power.cache_clear()  # a key of a cache that equals Python's number would be found there
    sgd = optim.SGD([weight([1.0])], lr=np.float64(1.0))
    schedule = optim.StepLR(sgd, np.int64(1), np.float32(0.5))
    schedule.step()
    assert schedule.get_last_lr() == [0.5]


KINDS_OF_NUMBER = [np.float16, np.float32, np.float64, np.longdouble]


@pytest.mark.parametrize("kind", KINDS_OF_NUMBER)
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        (optim.Adam, {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-4, "weight_decay": 0.01}),
        (optim.AdamW, {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-4, "weight_decay": 0.01}),
        (optim.NAdam, {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-4, "momentum_decay": 0.004}),
        (optim.RMSprop, {"lr": 0.1, "alpha": 0.9, "eps": 1e-4, "momentum": 0.3}),
        (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.01, "eps": 1e-4}),
    ],
)
def test_an_option_acts_by_its_value_and_not_by_its_type(rule: Any, options: Any, kind: Any) -> None:
    def convert(value: Any, to: Any) -> Any:
        return tuple(convert(v, to) for v in value) if isinstance(value, tuple) else to(np.float16(value))

    def run(to: Any, later: bool) -> bytes:
        w = weight([1.0, -0.3, 2.0], "fp64")
        given = {key: convert(value, to) for key, value in options.items()}
        optimizer = rule([w], **({} if later else given))
        if later:  # the options of a group may be set between two steps
            optimizer.param_groups[0].update(given)
        for g in (0.7, -0.11, 0.3):
            w.grad = Tensor([g, 2 * g, -g], format="fp64")
            optimizer.step()
        return w.data.tobytes()

    for later in (False, True):
        assert run(kind, later) == run(float, later)


@pytest.mark.parametrize("kind", KINDS_OF_NUMBER)
@pytest.mark.parametrize(
    "make",
    [
        lambda sgd, to: optim.LambdaLR(sgd, lambda n: to(np.float16(0.3) ** n)),
        lambda sgd, to: optim.StepLR(sgd, 1, to(np.float16(0.3))),
        lambda sgd, to: optim.CosineAnnealingLR(sgd, 7, to(np.float16(0.01))),
        lambda sgd, to: optim.LinearWarmup(sgd, 7, to(np.float16(0.3))),
    ],
)
def test_a_rate_acts_by_its_value_and_not_by_its_type(make: Any, kind: Any) -> None:
    def rates(to: Any) -> list[Any]:
        schedule = make(optim.SGD([weight([1.0])], lr=0.1), to)
        seen = []
        for _ in range(3):
            schedule.step()
            seen += [*schedule.get_last_lr(), schedule.optimizer.param_groups[0]["lr"]]
        return seen

    assert rates(kind) == rates(float)
    assert all(type(rate) is float for rate in rates(kind))


# -- each rule, two or three steps by hand ---------------------------------------------------------


def after(optimizer_of: Any, *gradients: float, start: float = 1.0) -> float:
    w = weight([start], "fp64")
    optimizer = optimizer_of([w])
    for g in gradients:
        w.grad = Tensor([g], format="fp64")
        optimizer.step()
    return float(w.item())


def test_dampening_begins_with_the_second_step() -> None:
    sgd = lambda p: optim.SGD(p, lr=1.0, momentum=0.5, dampening=0.75)  # noqa: E731
    assert after(sgd, 1.0, start=0.0) == -1.0
    assert after(sgd, 1.0, 1.0, start=0.0) == -1.0 - (0.5 + 0.25)


def test_decoupled_decay_is_scaled_by_the_rate() -> None:
    adam = lambda p: optim.AdamW(p, lr=0.5, weight_decay=0.25)  # noqa: E731
    assert after(adam, 0.0, start=2.0) == 2.0 * (1 - 0.5 * 0.25)
    nadam = lambda p: optim.NAdam(p, lr=0.5, weight_decay=0.25, decoupled_weight_decay=True)  # noqa: E731
    assert after(nadam, 0.0, start=2.0) == 2.0 * (1 - 0.5 * 0.25)


def test_the_first_step_of_adagrad_has_the_whole_rate() -> None:
    adagrad = lambda p: optim.Adagrad(p, lr=1.0, lr_decay=1.0, eps=0.0)  # noqa: E731
    assert after(adagrad, 2.0, start=0.0) == -1.0
    assert after(adagrad, 2.0, 2.0, start=0.0) == pytest.approx(-1.0 - 0.5 / math.sqrt(2.0))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_centered_rmsprop_takes_the_square_of_the_mean_off(momentum: float) -> None:
    rmsprop = lambda p: optim.RMSprop(  # noqa: E731
        p, lr=1.0, alpha=0.5, eps=0.0, centered=True, momentum=momentum
    )
    # the mean of g and that of g * g are halves of them: g / sqrt(g * g / 2 - g * g / 4) = 2
    assert after(rmsprop, 3.0, start=0.0) == pytest.approx(-2.0)


def test_nadam_keeps_the_product_of_its_momenta_in_float32() -> None:
    w = weight([1.0, 2.0, 3.0])
    nadam = optim.NAdam([w], lr=0.01, momentum_decay=0.1)
    product = np.float32(1.0)
    for step in range(1, 41):
        w.grad = Tensor([0.3, -0.2, 0.1 * step])
        nadam.step()
        product = np.float32(np.float64(product) * (0.9 * (1.0 - 0.5 * power(0.96, step * 0.1))))
        assert nadam.state[w]["mu_product"] == product
    assert isinstance(nadam.state[w]["mu_product"], float)


def test_the_rounding_mode_is_that_of_the_weights_under_a_master_copy_too() -> None:
    w = Tensor(np.ones(1000), requires_grad=True, format="bf16")
    sgd = optim.SGD([w], lr=1.0, master_weights=True, rounding="stochastic", rng=0)
    w.grad = Tensor(np.full(1000, 2.0**-10), format="bf16")
    sgd.step()
    assert set(np.unique(w.data)) == {1.0 - 2.0**-8, 1.0}  # a quarter of an ulp: down in one of four
    assert 150 < (w.data < 1).sum() < 350
    w = Tensor([1.0], requires_grad=True, format="bf16")
    w.grad = Tensor([2.0**-20], format="bf16")
    optim.SGD([w], lr=1.0, master_weights=True, rounding="toward_zero").step()
    assert w.item() == 1.0 - 2.0**-8


@pytest.mark.parametrize("name", ALL)
def test_a_state_dict_and_the_optimizer_share_no_memory(name: str) -> None:
    w = weight([1.0, 2.0])
    optimizer = getattr(optim, name)([w], **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {}))

    def step() -> None:
        w.grad = Tensor([1.0, -1.0])
        optimizer.step()

    step()
    saved = optimizer.state_dict()
    arrays = {k: v.copy() for k, v in saved["state"][0].items() if isinstance(v, np.ndarray)}
    assert arrays
    step()
    optimizer.load_state_dict(saved)
    step()
    for key, array in arrays.items():
        assert np.array_equal(saved["state"][0][key], array)
        assert not np.shares_memory(saved["state"][0][key], optimizer.state[w][key])


def test_a_step_schedule_falls_after_step_size_steps_and_not_before() -> None:
    sgd = optim.SGD([weight([1.0])], lr=1.0)
    schedule, rates = optim.StepLR(sgd, 3, 0.5), []
    for _ in range(7):
        rates += schedule.get_last_lr()
        schedule.step()
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_clipping_in_fp32_takes_the_factor_as_a_float32() -> None:
    g = np.linspace(0.1, 3.0, 200).astype(np.float32)
    w = weight(np.zeros(200), "fp32", g)
    norm = optim.clip_grad_norm_([w], 0.7)
    assert np.array_equal(w.grad.data, g * np.float32(0.7 / (norm + 1e-6)))
    factor = np.float64(0.7 / (norm + 1e-6))  # a wider one would round otherwise
    assert not np.array_equal(w.grad.data, (g * factor).astype(np.float32))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fmt", ["fp32", "bf16"])
def test_to_maximize_is_to_minimize_the_opposite(name: str, fmt: str) -> None:
    found = []
    for sign, maximize in ((1.0, False), (-1.0, True)):
        w = weight([1.0, -2.0, 0.5], fmt)
        optimizer = getattr(optim, name)([w], lr=0.1, maximize=maximize)
        for g in (0.3, -0.7, 0.1):
            w.grad = Tensor([sign * g, sign * 2 * g, 0.0], format=fmt)
            optimizer.step()
        found.append(w.data.tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_direction_is_a_switch(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match="maximize is True or False"):
        getattr(optim, name)([weight([1.0])], maximize=value)
