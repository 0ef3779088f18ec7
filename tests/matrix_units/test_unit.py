"""The unit as an accumulator: which products it forms, its bias, its promotion, and what it refuses."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FormatError, OptionError
from floatlab.sums import matmul as accumulate

RNG = np.random.default_rng(5)
A = fl.array(RNG.standard_normal((6, 70)), "fp16")
B = fl.array(RNG.standard_normal((70, 5)), "fp16")
PLAIN = {"formats": ("fp16", "fp16")}


def product(unit, a=A, b=B, fmt="fp32", **options):
    return fl.matmul(a, b, fmt, unit=unit, **options).values


# -- which products --------------------------------------------------------------------------------------------


def test_a_unit_is_said_as_accumulator_as_unit_and_by_the_context():
    wanted = product("h100")
    assert np.array_equal(wanted, fl.matmul(A, B, "fp32", accumulator="h100").values)
    with fl.arithmetic(accumulator="h100"):
        assert np.array_equal(fl.quantize(wanted, "fp16"), (A @ B).values)
    with fl.arithmetic(unit=fl.get_unit("h100")):
        assert np.array_equal(wanted, fl.matmul(A, B, "fp32").values)
    assert not np.array_equal(wanted, fl.matmul(A, B, "fp32").values)
    assert np.array_equal(wanted, fl.matmul(A.values, B.values, "fp32", unit="h100", **PLAIN))


def test_a_unit_of_the_context_leaves_sums_as_they_were():
    x = fl.array(np.full(3000, 1.0), "fp16")
    with fl.arithmetic(accumulator="fp16"), fl.arithmetic(accumulator="v100"):
        assert fl.sum(x).item() == 2048.0
        assert fl.mean(x).item() == fl.mean(x, accumulator="fp16").item()
    with fl.arithmetic(unit="v100"):
        assert fl.sum(x).item() == 3000.0


def test_an_accumulator_ends_the_unit_and_none_does_too():
    with fl.arithmetic(unit="v100"):
        with fl.arithmetic(accumulator="wide"):
            assert np.array_equal((A @ B).values, fl.matmul(A, B, accumulator="wide").values)
        with fl.arithmetic(unit=None):
            assert np.array_equal(
                fl.matmul(A, B, "fp32").values, fl.matmul(A, B, "fp32", accumulator="wide").values
            )
        assert np.array_equal(
            fl.matmul(A, B, "fp32", accumulator="exact").values,
            fl.matmul(A, B, "fp32", unit=None, accumulator="exact").values,
        )


def test_two_units_at_a_time_are_one_too_many():
    with pytest.raises(OptionError, match="one unit"):
        fl.matmul(A, B, "fp32", accumulator="v100", unit="h100")
    with pytest.raises(OptionError, match="by a unit"):
        fl.matmul(A, B, "fp32", accumulator="fp16", unit="h100")
    wanted = product("h100")
    assert np.array_equal(product("h100", accumulator="h100"), wanted)
    assert np.array_equal(product("h100", accumulator=fl.get_unit("h100")), wanted)
    with pytest.raises(OptionError, match="one unit"), fl.arithmetic(accumulator="v100", unit="h100"):
        pass


def test_dot_and_einsum_and_tensordot_are_products_too():
    x, y = A[0], B[:, 0]
    wanted = product("v100")[0, 0]
    assert fl.dot(x, y, "fp32", unit="v100").item() == wanted
    with fl.arithmetic(unit="v100"):
        assert fl.einsum("ij,jk->ik", A, B, fmt="fp32")[0, 0].item() == wanted
        assert fl.tensordot(A, B, "fp32", axes=1)[0, 0].item() == wanted


def test_stacks_are_products_one_by_one():
    a = fl.array(RNG.standard_normal((3, 1, 4, 20)), "fp16")
    b = fl.array(RNG.standard_normal((2, 20, 5)), "fp16")
    made = product("a100", a, b)
    for i in range(3):
        for j in range(2):
            assert np.array_equal(made[i, j], product("a100", a[i, 0], b[j]))
    assert np.array_equal(product("a100", a, b[0]), product("a100", a, b)[:, 0][:, None])


def test_large_matrices_of_a_stack_give_the_same():
    a = fl.array(RNG.standard_normal((2, 80, 33)), "bf16")
    b = fl.array(RNG.standard_normal((2, 33, 70)), "bf16")
    assert np.array_equal(product("h100", a, b)[1], product("h100", a[1], b[1]))


OF_FLOATS = [unit for unit in fl.units() if unit not in ("avx512_vnni", "maddubs")]


@pytest.mark.parametrize("unit", OF_FLOATS)
def test_no_terms_leave_the_bias_or_zero(unit):
    fmt = fl.get_unit(unit).multiplied()[0]
    a, b = np.zeros((2, 0)), np.zeros((0, 3))
    assert fl.matmul(a, b, "fp32", unit=unit, formats=(fmt, fmt)).tolist() == [[0.0] * 3] * 2
    for first in (False, True):
        made = fl.matmul(a, b, "fp32", unit=unit, formats=(fmt, fmt), bias=[1.0, 2.0, 3.0], bias_first=first)
        assert made.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert fl.matmul(b.T, np.zeros((0, 0)), "fp32", unit=unit, formats=(fmt, fmt)).shape == (3, 0)


def test_memory_layout_changes_nothing():
    a, b = A.values, B.values
    wanted = fl.matmul(a, b, "fp32", unit="h100", **PLAIN)
    for x, y in ((np.asfortranarray(a), np.asfortranarray(b)), (a[::-1][::-1], np.repeat(b, 2, 1)[:, ::2])):
        assert np.array_equal(wanted, fl.matmul(x, y, "fp32", unit="h100", **PLAIN))
    read_only = a.copy()
    read_only.flags.writeable = False
    assert np.array_equal(wanted, fl.matmul(read_only, b.astype(np.float64), "fp32", unit="h100", **PLAIN))


# -- the bias and the promotion --------------------------------------------------------------------------------


def test_the_bias_is_added_to_the_finished_product_in_fp32():
    bias = fl.quantize(RNG.standard_normal(5) * 1000, "fp32")
    made = fl.matmul(A, B, "fp32", unit="h100", bias=bias).values
    assert np.array_equal(made, product("h100").astype(np.float32) + bias.astype(np.float32))
    first = fl.matmul(A, B, "fp32", unit="h100", bias=bias, bias_first=True).values
    assert not np.array_equal(made, first)
    assert np.array_equal(first, fl.matmul(A, B, "fp32", unit="h100:bias_first", bias=bias).values)


def test_a_promoted_sum_is_the_fp32_sum_of_its_parts():
    total = np.zeros((6, 5), np.float32)
    for start in range(0, 70, 32):
        total = total + product("h100", A[:, start : start + 32], B[start : start + 32]).astype(np.float32)
    assert np.array_equal(product("h100:promote=32"), total)
    assert np.array_equal(product(replace(fl.get_unit("h100"), promote=32)), total)
    assert np.array_equal(product("h100:promote=96"), product("h100"))


def test_the_result_is_rounded_once_more_to_its_format_in_any_mode():
    wide = product("h100")
    for mode in ("nearest_even", "toward_zero", "toward_positive"):
        made = fl.matmul(A, B, "bf16", unit="h100", rounding=mode).values
        assert np.array_equal(made, fl.quantize(wide, "bf16", rounding=mode))


# -- units of one's own, and texts -----------------------------------------------------------------------------


def test_a_unit_of_ones_own_is_one_line():
    like_hopper = fl.MatrixUnit("mine", fraction_bits=25, block=16, rounding="toward_zero")
    assert np.array_equal(product(like_hopper), product("h100"))
    narrow = fl.MatrixUnit("mine", fraction_bits=12, block=16)
    assert not np.array_equal(product(narrow), product("h100"))
    nearest = fl.MatrixUnit("mine", fraction_bits=25, block=16, rounding="nearest_even")
    assert not np.array_equal(product(nearest), product("h100"))
    assert like_hopper != narrow and hash(like_hopper) != hash(narrow)


@pytest.mark.parametrize(
    "text", [*fl.units(), "h100:mma.sync", "v100:fp16", "h100:promote=128", "t4:m8n8k4:bias_first"]
)
def test_the_text_of_a_unit_means_it_again(text):
    unit = fl.get_unit(text)
    assert fl.get_unit(str(unit)) == unit and str(unit) == text
    assert pickle.loads(pickle.dumps(unit)) == unit
    assert fl.get_unit(f" {text.upper()} ") == unit


def test_published_sums_of_one_dot_product():
    a, b, c = [-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1.0, 1.0, 1.0], 2.0**23
    table = {
        "v100": ("fp16", 0.0), "t4": ("fp16", -0.5), "a100": ("fp16", -0.5), "h100": ("fp16", -0.75),
        "b200": ("fp16", -0.75), "mi100": ("fp16", -0.875), "mi250": ("fp16", 0.0), "mi300": ("fp16", -0.5),
        "avx512_bf16": ("bf16", -0.875),
    }  # fmt: skip
    for unit, (fmt, wanted) in table.items():
        made = fl.matmul(
            [a], np.array([b]).T, "fp32", unit=unit, formats=(fmt, fmt), bias=[[c]], bias_first=True
        )
        assert made.item() == wanted, unit
    for unit, fmt, wanted in (("h100", "e5m2", 0.0), ("mi300", "e5m2fnuz", -1.0)):
        made = fl.matmul(
            [a], np.array([b]).T, "fp32", unit=unit, formats=(fmt, fmt), bias=[[c]], bias_first=True
        )
        assert made.item() == wanted, unit


def test_a_larger_accumulator_gives_less_on_a_hopper():
    """c = 1 - 2^-24 moves the largest exponent down, and with it the cut: sixteen products of 2^-26 count."""
    a, b = np.full((1, 16), 2.0**-13), np.full((16, 1), 2.0**-13)
    below, one = (
        fl.matmul(a, b, "fp32", unit="h100", bias=[[c]], bias_first=True, **PLAIN).item()
        for c in (1 - 2.0**-24, 1.0)
    )
    assert below > one


def test_a_tf32_operand_is_an_fp32_number_whose_last_bits_are_dropped():
    x = fl.quantize(RNG.standard_normal((2, 9)), "fp32")
    y = fl.quantize(RNG.standard_normal((9, 2)), "fp32")
    formats = ("tf32", "tf32")
    cut = [fl.quantize(v, "tf32", rounding="toward_zero") for v in (x, y)]
    assert np.array_equal(
        fl.matmul(x, y, "fp32", unit="a100", formats=formats),
        fl.matmul(*cut, "fp32", unit="a100", formats=formats),
    )


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: product("h10"), OptionError, 'Did you mean "h100"'),
        (lambda: fl.get_unit(100), OptionError, "a name or a MatrixUnit"),
        (lambda: fl.get_unit("h100:mma"), OptionError, 'Use "h100:mma.sync"'),
        (lambda: fl.get_unit("h100:promote=0"), OptionError, "multiple of its blocks"),
        (lambda: fl.get_unit("h100:promote=-128"), OptionError, "multiple of its blocks"),
        (lambda: fl.get_unit("h100:promote=100"), OptionError, "multiple of its blocks"),
        (
            lambda: product("v100", A.astype("bf16"), B.astype("bf16")),
            FormatError,
            "v100 multiplies two operands of float16",
        ),
        (lambda: product("h100", A.astype("fp32"), B.astype("fp32")), FormatError, "Got float32"),
        (lambda: product("h100", A.astype("fp64"), B.astype("fp64")), FormatError, "Got float64"),
        (lambda: product("h100", A, B.astype("bf16")), FormatError, "float16 and bfloat16"),
        (lambda: fl.matmul(A.values, B.values, "fp32", unit="h100"), FormatError, "choose the instruction"),
        (
            lambda: fl.matmul(A.values + 1e-9, B.values, "fp32", unit="h100", **PLAIN),
            DtypeError,
            "420 of 420|of 420",
        ),
        (lambda: fl.matmul([[2.0**17]], [[1.0]], "fp32", unit="h100", **PLAIN), DtypeError, "1 of 1"),
        (lambda: fl.matmul(A, B, "fp32", unit="h100", bias=[0.1] * 5), DtypeError, "The bias"),
        (
            lambda: fl.matmul(A.values, B.values, "fp32", unit="h100", formats="fp16"),
            OptionError,
            '"fp16", "fp16"',
        ),
        (lambda: fl.sum(A.values, "fp32", formats=fl.get_format("fp16")), OptionError, "one entry"),
        (lambda: product("h100", product_format="fp16"), OptionError, "products of its own"),
        (lambda: product("h100", return_flags=True), OptionError, "Flags"),
        (lambda: fl.sum(A, accumulator="h100"), OptionError, "alone"),
        (lambda: fl.mean(A, accumulator="h100"), OptionError, "no mean|alone"),
        (lambda: fl.var(A, accumulator="h100"), OptionError, "alone"),
        (lambda: fl.norm(A, accumulator="h100"), OptionError, "alone"),
        (lambda: accumulate.sum(A.values, "fp16", accumulator="h100"), OptionError, "no sum"),
        (lambda: fl.sum(A, unit="h100"), OptionError, "unit"),
        (lambda: fl.Arithmetic(accumulator="h100"), OptionError, "unit="),
        (lambda: fl.Arithmetic(unit="h1000"), OptionError, "h100"),
        (lambda: fl.matmul(A, B, "fp32", bias_first=True), OptionError, "matrix unit"),
        (lambda: fl.matmul(A, B, "fp32", unit="h100", bias_first="no"), OptionError, "bias_first"),
        (lambda: fl.MatrixUnit("mine"), OptionError, "fraction_bits and block"),
        (lambda: fl.MatrixUnit("", fraction_bits=25, block=16), OptionError, "name"),
        (lambda: fl.MatrixUnit("mine", fraction_bits=25), OptionError, "fraction_bits and block"),
        (lambda: fl.MatrixUnit("mine", fraction_bits=0, block=16), OptionError, "fraction_bits"),
        (lambda: fl.MatrixUnit("mine", fraction_bits=25, block=0), OptionError, "block"),
        (
            lambda: fl.MatrixUnit("mine", fraction_bits=25, block=16, rounding="stochastic"),
            OptionError,
            "rounding",
        ),
        (lambda: fl.MatrixUnit("mine", fraction_bits=25, block=16, promote=24), OptionError, "multiple"),
        (lambda: fl.get_unit("h100:promote=128:promote=64"), OptionError, "one promote"),
        (lambda: fl.get_unit("avx512_vnni:promote=128"), OptionError, "of floats"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -- integers --------------------------------------------------------------------------------------------------


def test_units_of_integers_are_sums_of_integers_by_another_name():
    a = fl.quantize_int(RNG.random((4, 40)) * 200, "uint8", scale=1.0, zero_point=0)
    b = fl.quantize_int(RNG.standard_normal((40, 3)) * 90, "int8", scale=1.0)
    for unit, sums in (
        ("avx512_vnni", "int32"),
        ("avx512_vnni:saturate", "int32_saturate"),
        ("maddubs", "maddubs"),
    ):
        wanted = fl.matmul(a, b, accumulator=sums)
        assert np.array_equal(fl.matmul(a, b, unit=unit), wanted)
        assert np.array_equal(fl.matmul(a, b, accumulator=fl.get_unit(unit)), wanted)
    assert not np.array_equal(fl.matmul(a, b, unit="maddubs"), fl.matmul(a, b, unit="avx512_vnni"))


def test_floats_and_integers_have_units_of_their_own():
    a, b = fl.quantize_int(np.eye(4)), fl.quantize_int(np.eye(4))
    with pytest.raises(FormatError, match="avx512_vnni"):
        fl.matmul(a, b, unit="h100")
    with pytest.raises(FormatError, match="quantize_int"):
        product("maddubs")
    with pytest.raises(OptionError, match="one way"):
        fl.matmul(a, b, unit="maddubs", accumulator="int32")
    with pytest.raises(OptionError, match="int32"):
        fl.matmul(a, b, accumulator="int23")
