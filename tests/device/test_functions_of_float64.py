"""The C++ of exp64 and its relatives, on the processor: the bits of the NumPy kernels."""

import numpy as np
import pytest

from device.ledger import LEDGER
from floatlab.functions import float64

NAMES = float64.__all__


def numbers():
    """Return numbers of every size, and those at which a kernel changes its way."""
    rng = np.random.default_rng(5)
    ends = [
        708,
        709,
        709.78271289338397,
        709.79,
        710,
        745,
        746,
        750,
        50,
        40,
        37.6,
        39,
        20,
        6,
        9,
        1,
        2.0**17,
        2.0**18,
    ]
    ends += [
        0.0,
        5e-324,
        2.0**-1022,
        2.0**-1023,
        2.0**-54,
        2.0**-27,
        2.0**1000,
        1.7e308,
        np.inf,
        np.pi,
        0.7,
        1.4,
    ]
    points = np.array(ends)
    points = np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf), [np.nan]])
    scales = np.exp2(rng.uniform(-1074, 1023, 4000))
    wide = np.concatenate(
        [points, scales, rng.uniform(0, 50, 6000), rng.uniform(0, 800, 3000), np.arange(0, 41, 1 / 64)]
    )
    both = np.concatenate([wide, -wide])
    return both[~(np.abs(both) > 2.0**60) | (np.arange(len(both)) % 40 == 0) | ~np.isfinite(both)]


@pytest.mark.parametrize("name", NAMES)
def test_a_function_has_the_bits_of_the_cpu(cupy, name):
    function, x = getattr(float64, name), numbers()
    want = function(x)
    got = function(cupy.asarray(x))
    assert isinstance(got, cupy.ndarray)
    got = got.get()
    assert np.array_equal(np.isnan(got), np.isnan(want))
    wrong = ~np.isnan(want) & (got.view(np.int64) != want.view(np.int64))
    assert not wrong.any(), (x[wrong][:5].tolist(), got[wrong][:5].tolist(), want[wrong][:5].tolist())
    nan = np.isnan(want)
    assert np.array_equal(np.signbit(got[nan]), np.signbit(want[nan]))


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_one_kernel_and_reads_nothing(cupy, name):
    x = cupy.asarray(np.linspace(-5.0, 5.0, 12).reshape(3, 4))
    getattr(float64, name)(x)  # which sends the tables
    LEDGER.clear()
    y = getattr(float64, name)(x.T, x.T)  # in place, and not contiguous
    assert y.shape == (4, 3)
    readings = {"flatnonzero": 1} if name in ("sin64", "cos64") else {}  # is an angle far away?
    assert {kind: n for (kind, _), n in LEDGER.readings.items()} == readings
    assert LEDGER.launches[f"floatlab_{name}"] == 1 and not LEDGER.sendings
    want = getattr(float64, name)(np.linspace(-5.0, 5.0, 12).reshape(3, 4))
    assert np.array_equal(x.get(), want, equal_nan=True)
