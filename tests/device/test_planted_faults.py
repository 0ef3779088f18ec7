"""Faults that code for a device could have: each is planted here, and each is found, with its name and line."""

import inspect

import numpy as np
import pytest

import floatlab as fl
from device.flushing import FlushError, settings
from device.ledger import LEDGER
from device.plugin import HostResultError, on_device
from floatlab.backend import array_module

X = np.linspace(-2.0, 2.0, 9)


def planted(fault):
    """Return a function of arrays with a fault, as the plugin calls the functions of floatlab."""
    fault.__module__ = "floatlab.planted"
    return on_device(fault)


def line_of(fault, text):
    lines, first = inspect.getsourcelines(fault)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_a_sound_function_passes(cupy):
    assert np.array_equal(planted(lambda x: array_module(x).zeros(x.shape) + x)(X), X)
    assert not LEDGER.readings


def test_np_zeros_beside_a_device_array(cupy):
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        planted(lambda x: np.zeros(x.shape) + x)(X)


def test_np_zeros_as_a_result(cupy):
    with pytest.raises(HostResultError, match=r"floatlab\.planted"):
        planted(lambda x: np.zeros(x.shape))(X)


def test_asarray_of_a_device_array(cupy):
    with pytest.raises(TypeError, match="Implicit conversion"):
        planted(lambda x: np.asarray(x, np.float64))(X)


def test_where_of_a_ufunc(cupy):
    def fault(x):
        np.negative(x, out=x, where=x < 0)
        return x

    with pytest.raises(TypeError, match="where"):
        planted(fault)(X)


def test_a_host_reading_in_a_loop(cupy):
    def fault(x):
        total = 0.0
        for i in range(len(x)):
            total += float(x[i])
        return x * total

    planted(fault)(X)
    assert LEDGER.readings == {("float", f"test_planted_faults.py:{line_of(fault, 'float(x[i])')}"): 9}


def test_a_float32_operation_on_subnormals(cupy):
    tiny = np.array([1e-40, -3e-39], np.float32)

    def fault(x):
        return x + x

    assert not np.array_equal(planted(fault)(tiny), tiny + tiny)
    assert LEDGER.flushed == {
        f"test_planted_faults.py:{line_of(fault, 'x + x')}": 4
    }  # both operands of both numbers
    settings.refuse_flush = True
    with pytest.raises(FlushError, match="test_planted_faults"):
        planted(fault)(tiny)


def test_a_cast_of_subnormals(cupy):
    settings.refuse_flush = True
    with pytest.raises(FlushError):
        planted(lambda x: x.astype(np.float64))(np.array([1e-40], np.float32))


def test_a_scatter_by_add_at(cupy):
    def fault(x):
        out = array_module(x).zeros(2)
        array_module(x).add.at(out, array_module(x).arange(x.size) % 2, x)
        return out

    planted(fault)(X)
    assert LEDGER.scatters == {f"test_planted_faults.py:{line_of(fault, 'add.at')}": 1}


def test_an_index_beyond_the_end(cupy):
    def fault(x):
        return x[array_module(x).asarray([9])]

    assert planted(fault)(X).tolist() == [-2.0]  # where NumPy raises: who indexes has to look first


def test_a_sum_that_trusts_the_order_of_its_terms(cupy):
    terms = np.array([1.0, 1e16, -1e16])
    assert planted(lambda x: x.sum())(terms) != terms.sum()


def test_a_function_that_trusts_the_last_bit(cupy):
    x = np.linspace(0.1, 1.0, 50)
    assert not np.array_equal(planted(np.exp)(x), np.exp(x))


@pytest.mark.parametrize("name", ["quantize", "encode"])
def test_floatlab_itself_is_looked_at(cupy, name):
    got = on_device(getattr(fl, name))(X, "e4m3")
    assert np.array_equal(got, getattr(fl, name)(X, "e4m3"))
