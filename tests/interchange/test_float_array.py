"""What floatlab itself does at its borders, where no other library is needed to see it."""

import subprocess
import sys

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FormatError


def test_real_and_imag_are_numpys():
    a = fl.array([1.5, -2.0], "e4m3")
    a.real[0] = 3.0
    assert a.tolist() == [3.0, -2.0]
    for x in (a, fl.from_codes(a.codes, "e4m3"), fl.array([1.0], "fp32")):
        assert x.imag.tolist() == [0.0] * x.size and not x.imag.codes.any()
        with pytest.raises(ValueError, match="read-only"):
            x.imag[0] = 1.0
    assert fl.array(2.0, "fp16").imag.shape == ()
    with pytest.raises(FormatError, match="no zero"):
        _ = fl.array([1.0], "e8m0").imag


def test_the_libraries_are_not_imported():
    code = """
import sys, numpy as np, floatlab as fl
fl.quantize(np.ones(3), "e4m3"); fl.add([1.0], 2.0, "fp16"); fl.array(np.ones(3), "fp16") + 1
print(sorted({"torch", "jax", "pandas", "xarray", "dask"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(("name", "library"), [("to_torch", "torch"), ("to_jax", "jax")])
def test_who_asks_for_a_tensor_has_imported_its_library(name, library, monkeypatch):
    monkeypatch.delitem(sys.modules, library, raising=False)
    with pytest.raises(FormatError, match=f"Write import {library}"):
        getattr(fl.array([1.0], "bf16"), name)()


class OfAnotherLibrary:
    """An array that speaks DLPack, and lies where it says."""

    def __init__(self, values, device=(1, 0)):
        self.values, self.device = values, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __array__(self, dtype=None, copy=None):
        if self.device != (1, 0):
            raise AssertionError("copied in silence")
        return self.values


@pytest.mark.parametrize("name", ("quantize", "encode", "array", "exp", "sum", "add"))
def test_an_unknown_librarys_array_is_taken_from_the_cpu_and_from_nowhere_else(name):
    x = np.float32([0.1, 2.0])
    more = (x,) if name == "add" else ()
    got = getattr(fl, name)(OfAnotherLibrary(x), *more, "e4m3")
    assert np.array_equal(np.asarray(got), np.asarray(getattr(fl, name)(x, *more, "e4m3")))
    for device in ((2, 1), (10, 0)):
        with pytest.raises(DtypeError, match=f"device {device[1]} of DLPack's type {device[0]}"):
            getattr(fl, name)(OfAnotherLibrary(x, device), *more, "e4m3")
        with pytest.raises(DtypeError, match="DLPack"):
            getattr(fl, name)([OfAnotherLibrary(x, device)], *more, "e4m3")


def test_masked_arrays_are_refused_by_every_door():
    x = np.ma.array([1.0, 2.0], mask=[True, False])
    for call in (
        lambda: fl.quantize(x, "e4m3"),
        lambda: fl.quantize([x], "e4m3"),
        lambda: fl.encode(x, "e4m3"),
        lambda: fl.array(x, "e4m3"),
        lambda: fl.add(x, np.ones(2), "fp16"),
        lambda: fl.quantize(np.ones(2), "e4m3", out=x),
    ):
        with pytest.raises(DtypeError, match="masked"):
            call()
