"""Who asks for flags gets those of what the user called, once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import floatlab as fl
from floatlab.rounding.definition import convert_with_flags
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import make_rule
from floatlab.rounding.random_integers import RandomIntegers


@pytest.mark.parametrize("function", [fl.quantize, fl.encode])
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_quantize_and_encode_flush_is_recorded(function, size):
    x = np.full(size, 1e-6, np.float32)
    with fl.track_flags() as flags:
        function(x, "fp16", subnormals="flush")
    assert flags.counts == {
        "invalid": 0,
        "divide_by_zero": 0,
        "overflow": 0,
        "underflow": size,
        "inexact": size,
    }
    assert list(flags.by_operation) == [function.__name__] == [flags.last_operation]
    assert flags.last is not None
    assert flags.last.underflow.all()


def test_results_are_the_same_with_and_without_a_record():
    x = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)[:, ::2] * 300
    for function in (fl.quantize, fl.encode):
        for options in ({}, {"overflow": "saturate"}, {"rounding": "stochastic"}):
            random = {"rng": np.random.default_rng(3)} if "rounding" in options else {}
            plain = function(x, "e4m3", **options, **random)
            random = {"rng": np.random.default_rng(3)} if "rounding" in options else {}
            with fl.track_flags():
                tracked = function(x, "e4m3", **options, **random)
            assert tracked.dtype == plain.dtype
            assert np.array_equal(tracked, plain, equal_nan=function is fl.quantize)


def test_flags_that_are_asked_for_are_recorded_as_well():
    with fl.track_flags() as outer, fl.track_flags() as inner:
        values, flags = fl.quantize([1e9, 1.0], "fp16", return_flags=True)
    assert values.tolist() == [np.inf, 1.0]
    assert outer.counts == inner.counts == flags.counts
    assert flags.counts["overflow"] == 1


def test_operations_of_arrays_count_once():
    a = fl.array([1.0, 60000.0], "fp16")
    with fl.track_flags() as flags:
        fl.add(a, a)
        fl.sum(a)
        a.astype("e4m3")
        fl.exp(a)
    assert {"quantize", "encode"}.isdisjoint(flags.by_operation)
    assert flags.by_operation["add"]["overflow"] == 1
    assert flags.by_operation["array"]["overflow"] == 1


def test_nothing_is_recorded_afterwards_and_questions_raise_no_flags():
    with fl.track_flags() as flags:
        fl.next_up([1e9, 0.3], "e4m3"), fl.ulp(0.3, "e4m3"), fl.classify([1e9, 0.3], "e4m3")
    fl.quantize(0.3, "e4m3")
    assert str(flags) == "no flags"


def test_an_error_under_a_record_is_the_same_error():
    with fl.track_flags() as flags:
        with pytest.raises(fl.FloatlabError, match='Use "rounding"'):
            fl.quantize(1.0, "fp16", roundng="to_odd")
        with pytest.raises(fl.FloatlabError, match="new array"):
            fl.encode(1.0, "fp16", out=np.zeros((), np.uint16))
    assert not flags.by_operation


def test_the_conversions_keep_their_names_and_survive_pickling():
    for function in (fl.quantize, fl.encode):
        assert pickle.loads(pickle.dumps(function)) is function
        assert function.__doc__.startswith("Round numbers to")


@pytest.mark.parametrize("rounding", list(MODES))
@pytest.mark.parametrize("name", ["fp16", "e4m3", "e4m3fnuz", "fp6_e2m3", "bf16", "binary8p4se", "fp32"])
def test_flags_of_many_numbers_are_those_of_the_readable_steps(name, rounding):
    """Numbers in doubt lie in every block, the last and short one too."""
    fmt, rng = fl.get_format(name), np.random.default_rng(5)
    ends = np.array([fmt.max, fmt.smallest_normal, fmt.smallest_subnormal, 1.0])
    near = rng.choice(ends, 40_000) * (1 + rng.integers(-40, 40, 40_000) * 2.0 ** -(fmt.mantissa_bits + 4))
    near[rng.integers(0, near.size, 900)] = rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e300], 900)
    near *= rng.choice([-1, 1], near.size)
    near = near if fmt.has_nan else np.nan_to_num(near, nan=1.0, posinf=np.inf, neginf=-np.inf)
    draws = {"random_integers": rng.integers(0, 1 << 16, near.size)} if MODES[rounding].variant else {}
    for options in ({}, {"subnormals": "flush"}, {"overflow": "saturate"}):
        with np.errstate(over="ignore"):
            narrow = near.astype(np.float32)
        for x in (near, narrow):
            rule = make_rule(
                fmt, rounding, options.get("overflow"), options.get("subnormals", "gradual"), False
            )
            draw = RandomIntegers(None, 16, draws["random_integers"]) if draws else None
            values, wanted = convert_with_flags(x, rule, draw)
            got, raised = fl.quantize(x, fmt, rounding=rounding, return_flags=True, **options, **draws)
            assert np.array_equal(got, values, equal_nan=True)
            assert np.array_equal(np.signbit(got), np.signbit(values))
            for flag in fl.Flags.__dataclass_fields__:
                assert np.array_equal(getattr(raised, flag), getattr(wanted, flag)), (flag, options)
            if x is near:  # float32 has the ends of fp32, and of bf16
                assert raised.counts["overflow"] and raised.counts["underflow"]
