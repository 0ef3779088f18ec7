"""What the PTX of roundings, encodings and decodings computes in the machine of `ptx`: floatlab's bits.

Every format of the catalogue in every mode, from float32 and from float64, on inputs made for it. Each conversion is
compiled with its constants in their places, as for a chip, for one architecture after the other. An ordinary run takes
one conversion of ten and 4,000 inputs of each; all of them, and 100,000 inputs (ten minutes) with

    FLOATLAB_PTX=all python -m pytest tests/device/test_ptx_conversions.py
"""

import itertools
import os

import numpy as np
import pytest
from support import CATALOGUE, policies_of

import floatlab as fl
from device.every_kernel import F32, F64, rounding_example, word_of
from device.nvrtc import ARCHITECTURES, compiled, faults, launched
from floatlab.codes.device import decoding_kernel, encoding_kernel
from floatlab.rounding.device.rounding import carrier_of
from floatlab.rounding.options import ROUNDING_MODES as MODES

ALL = os.environ.get("FLOATLAB_PTX") == "all"
COUNT = 100_000 if ALL else 4_000
F16 = np.dtype("f2")


# -- inputs ----------------------------------------------------------------------------------------


def critical_numbers(fmt, dtype, count, seed=0):
    """Return numbers of a carrier type of which half are within a step of a value of the format, or of a midpoint.

    Their exponents are all that the format has and some beyond its ends. What the format has no room for is nothing, a
    quarter, a half, three quarters of the unit, one bit more or less than that, or anything. The other half are all
    kinds of words: every exponent, subnormals, infinities, NaNs with payloads.
    """
    rng = np.random.default_rng([seed, fmt.bits, dtype.itemsize])
    bits = 8 * dtype.itemsize
    stored = np.finfo(dtype).nmant
    bias, top = np.finfo(dtype).maxexp - 1, 2 * np.finfo(dtype).maxexp - 1
    word = word_of(dtype)
    exponent = rng.integers(fmt.emin - fmt.mantissa_bits - 4, fmt.emax + 4, count)
    field = np.clip(exponent + bias, 0, top)
    gone = np.clip(stored - fmt.mantissa_bits + np.maximum(fmt.emin - exponent, 0), 0, stored).astype(
        np.uint64
    )
    unit, one = np.uint64(1) << gone, np.uint64(1)
    rests = [np.zeros_like(unit), unit >> one, unit >> np.uint64(2), unit - (unit >> np.uint64(2))]
    rest = np.choose(rng.integers(0, 4, count), rests) + rng.integers(0, 3, count).astype(np.uint64) - one
    kept = rng.integers(0, 1 << stored, count, np.uint64) & ~(unit - one)
    kept = np.where(
        rng.integers(0, 4, count) == 0, ~(unit - one), kept
    )  # all ones: a carry goes on to the exponent
    fraction = (kept | rest & (unit - one)) & np.uint64((1 << stored) - 1)
    sign = rng.integers(0, 2, count).astype(np.uint64) << np.uint64(bits - 1)
    near = sign | field.astype(np.uint64) << np.uint64(stored) | fraction
    anything = (
        rng.integers(0, 1 << bits, count, np.uint64, endpoint=False) if bits < 64 else rng.bytes(8 * count)
    )
    anything = np.frombuffer(anything, np.uint64) if bits == 64 else anything
    numbers = np.where(np.arange(count) % 2 == 0, near, anything).astype(word).view(dtype)
    ends = np.array([0, 1, fmt.max, fmt.smallest_normal, fmt.smallest_subnormal or 0, np.inf])
    with np.errstate(over="ignore", under="ignore"):
        ends = np.concatenate([ends, ends / 2, ends * 1.5]).astype(dtype)
        around = [np.nextafter(ends, dtype.type(x)) for x in (np.inf, -np.inf)]
    ends = np.concatenate([ends, *around])
    numbers[: 2 * len(ends)] = np.concatenate([ends, -ends])
    if not fmt.has_nan:
        numbers = np.where(np.isnan(numbers), dtype.type(1.5), numbers)
    return numbers


def random_integers(bits, count):
    """Return random integers, the ends among them more often than chance has it."""
    rng = np.random.default_rng(bits)
    drawn = rng.integers(0, 1 << bits, count, np.uint64)
    drawn[::5], drawn[1::5] = 0, (1 << bits) - 1
    return drawn


# -- comparing -------------------------------------------------------------------------------------


def differences(got, expected):
    """Return how many words differ; of a NaN the sign counts, and not the payload."""
    words = f"u{got.dtype.itemsize}"
    nan = np.isnan(got) & np.isnan(expected) & (np.signbit(got) == np.signbit(expected))
    return np.count_nonzero((got.view(words) != expected.view(words)) & ~nan)


def check_rounding(fmt, given, mode, architecture, bits=0, encode=False, **options):
    """Run the kernel of a conversion on critical numbers, and compare each with the processor's."""
    example = rounding_example(fmt.name, given, mode, bits, encode, **options)
    x = critical_numbers(fmt, given, COUNT)
    drawn = random_integers(bits, COUNT) if bits else None
    text = compiled(example.kernel, example.types, architecture=architecture)
    assert faults(text) == []
    inputs = [x.view(word_of(given)), *([drawn.astype(example.types[1])] if bits else [])]
    (words,) = launched(text, inputs, [example.types[-1]])
    if bits:
        options |= {"random_bits": bits, "random_integers": drawn}
    if encode:
        assert np.count_nonzero(words != fl.encode(x, fmt, rounding=mode, **options)) == 0
        return
    values = words.view(carrier_of(fmt, given))
    expected = fl.quantize(x, fmt, rounding=mode, **options).astype(values.dtype)
    assert differences(values, expected) == 0


BITS = {"stochastic": 16, "stochastic_b": 32, "stochastic_c": 48}


def conversions():
    """Yield every format, type of the numbers given and mode; in an ordinary run one of ten, and nearest even."""
    for (i, fmt), (j, given), (k, mode) in itertools.product(
        enumerate(CATALOGUE), enumerate((F32, F64)), enumerate(MODES)
    ):
        if ALL or (mode == "nearest_even" and given == fmt.value_dtype) or (i + 3 * j + k) % 10 == 2:
            yield pytest.param(
                fmt, given, mode, ARCHITECTURES[(i + j + k) % 7], id=f"{fmt.name}-{given}-{mode}"
            )


@pytest.mark.parametrize(("fmt", "given", "mode", "architecture"), [*conversions()])
def test_a_rounding_has_the_processors_bits(fmt, given, mode, architecture):
    check_rounding(fmt, given, mode, architecture, BITS.get(mode, 0))


def policies():
    """Yield formats, modes, policies and flush rules; in an ordinary run one of fifteen."""
    for i, fmt in enumerate(CATALOGUE):
        for k, (policy, flush) in enumerate(
            itertools.product(policies_of(fmt), ("results", "inputs", "both", ""))
        ):
            if ALL or (5 * i + k) % 15 == 0:
                mode = MODES[(i + 3 * k) % len(MODES)]
                yield pytest.param(fmt, mode, policy, flush, id=f"{fmt.name}-{mode}-{policy}-{flush}")


@pytest.mark.parametrize(("fmt", "mode", "policy", "flush"), [*policies()])
def test_a_policy_and_a_flush_rule_have_the_processors_bits(fmt, mode, policy, flush):
    options = {"overflow": policy, "subnormals": "flush" if flush in ("results", "both") else "gradual"}
    options["flush_inputs"] = flush in ("inputs", "both")
    check_rounding(fmt, fmt.value_dtype, mode, 90, BITS.get(mode, 0), **options)


@pytest.mark.parametrize("fmt", CATALOGUE if ALL else CATALOGUE[4::5], ids=lambda fmt: fmt.name)
def test_a_float16_is_rounded_and_encoded_as_on_the_processor(fmt):
    check_rounding(fmt, F16, "nearest_even", 80)
    check_rounding(fmt, F16, "toward_positive", 120, encode=True)


@pytest.mark.parametrize(("number", "fmt"), [*enumerate(CATALOGUE)], ids=[fmt.name for fmt in CATALOGUE])
def test_an_encoding_has_the_processors_codes(number, fmt):
    modes = MODES if ALL else [MODES[number % len(MODES)]]
    for mode in modes:
        for given in (F32, F64) if ALL else (F32,):
            check_rounding(fmt, given, mode, ARCHITECTURES[number % 7], BITS.get(mode, 0), encode=True)


@pytest.mark.parametrize(("number", "fmt"), [*enumerate(CATALOGUE)], ids=[fmt.name for fmt in CATALOGUE])
def test_every_code_becomes_its_value_and_every_value_its_code(number, fmt):
    if fmt.bits <= 16:
        codes = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
    else:
        codes = fl.encode(critical_numbers(fmt, F64, COUNT), fmt)
    architecture, word = ARCHITECTURES[number % 7], word_of(fmt.value_dtype)
    text = compiled(decoding_kernel(fmt), (codes.dtype, word), architecture=architecture)
    assert faults(text) == []
    (words,) = launched(text, [codes], [word])
    values = words.view(fmt.value_dtype)
    assert differences(values, fl.decode(codes, fmt)) == 0
    text = compiled(encoding_kernel(fmt, fmt.value_dtype), (word, codes.dtype), architecture=architecture)
    assert faults(text) == []
    expected = fl.decode(codes, fmt)
    (again,) = launched(text, [expected.view(word)], [codes.dtype])
    assert np.array_equal(again, fl.encode(expected, fmt))
