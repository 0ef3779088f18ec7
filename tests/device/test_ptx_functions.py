"""exp64 and its kin: what the PTX of their kernels computes in the machine of `ptx` are the processor's bits."""

import os

import numpy as np
import pytest

import floatlab.functions.float64 as float64
from device.every_kernel import F64
from device.nvrtc import ARCHITECTURES, call
from floatlab.functions.float64 import device

COUNT = 100_000 if os.environ.get("FLOATLAB_PTX") == "all" else 4_000


def arguments():
    """Return arguments of every size and sign up to where angles are reduced on a device, and all ends."""
    rng = np.random.default_rng(8)
    sizes = np.concatenate([2.0 ** rng.uniform(-60, 17, COUNT // 2), rng.uniform(0, 40, COUNT // 2)])
    x = sizes * rng.choice([-1.0, 1.0], COUNT)
    ends = np.array([0, 5e-324, 1e-310, 2.0**-1022, 1, 708, 709.5, 710, 745, 746, np.inf, np.nan, 2.0**16])
    return np.concatenate([x, ends, -ends])


@pytest.mark.parametrize("name", device._FUNCTIONS)
def test_a_function_has_the_processors_bits_in_the_machine(name):
    kernel, tables = device.function_kernel(name)
    x = arguments()
    given = [np.ascontiguousarray(device._TABLES[table]()).reshape(-1) for table in tables]
    architecture = ARCHITECTURES[[*device._FUNCTIONS].index(name) % 7]
    (y,) = call(kernel, x, *given, outputs=[F64], architecture=architecture)
    with np.errstate(all="ignore"):
        expected = getattr(float64, name)(x)
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(y), nan)
    assert np.array_equal(y.view(np.uint64)[~nan], expected.view(np.uint64)[~nan])
    assert np.array_equal(np.signbit(y)[nan], np.signbit(expected)[nan])
