"""Conversions that take four numbers at once, in the machine of `ptx`: whole fours, and what is left over."""

import numpy as np
import pytest
from test_ptx_conversions import BITS, critical_numbers, differences, random_integers

import floatlab as fl
from device.every_kernel import F32, F64, U32, drawn_type, word_of
from device.nvrtc import call
from floatlab.formats import get_format
from floatlab.rounding.device.rounding import carrier_of, kernel_in_fours
from floatlab.rounding.options import make_rule

FOURS = [("bf16", F32, "nearest_even"), ("fp16", F64, "stochastic_c"), ("e4m3", F32, "stochastic")]
FOURS += [("e2m1", F32, "toward_negative"), ("e3m2", np.dtype("f2"), "to_odd"), ("e8m0", F32, "nearest_away")]


@pytest.mark.parametrize(("name", "given", "mode"), FOURS)
def test_four_numbers_at_once_are_rounded_as_one_and_so_are_those_left_over(name, given, mode):
    fmt, bits = get_format(name), BITS.get(mode, 0)
    rule = make_rule(fmt, mode, None, "gradual", False)
    result, drawn = carrier_of(fmt, given), (drawn_type(bits),) if bits else ()
    kernel = kernel_in_fours(rule, given, result, bits, *drawn)
    for count, architecture in ((4001, 90), (3, 120), (1002, 75)):
        x = critical_numbers(fmt, given, 4001)[-count:].copy()
        integers = random_integers(bits, count) if bits else None
        inputs = [x.view(word_of(given)), *([integers.astype(drawn[0])] if bits else []), np.int64(count)]
        found = () if fmt.has_nan else (np.zeros(1, U32),)
        outputs = [np.zeros(count, word_of(result)), *found]
        values, *nan = call(kernel, *inputs, outputs=outputs, size=-(-count // 4), architecture=architecture)
        options = {"random_bits": bits, "random_integers": integers} if bits else {}
        expected = fl.quantize(x, fmt, rounding=mode, **options).astype(result)
        assert differences(values.view(result), expected) == 0
        if nan:
            assert nan[0][0] == 0
            x[count // 2] = np.nan
            call(kernel, *inputs, outputs=outputs, size=-(-count // 4), architecture=architecture)
            assert nan[0][0] == 1
