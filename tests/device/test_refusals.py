"""What has no place on a device yet says so, and gives the way out; nothing goes there in silence."""

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError

X = np.float32([1.5, 2.0**-130, -3.0])


@pytest.mark.parametrize(
    "made",
    (
        lambda x: fl.array(x, "bf16"),
        lambda x: fl.from_codes(fl.encode(x, "bf16"), "bf16"),
        lambda x: fl.Tensor(x),
        lambda x: fl.tensor(x),
        lambda x: fl.nn.Parameter(x),
        lambda x: fl.inspect(x),
        lambda x: fl.plots.plot_histogram(x, ["bf16"]),
    ),
)
def test_arrays_tensors_and_charts_refuse_a_device_in_words(cupy, made):
    with pytest.raises(DtypeError, match="Got"):
        made(cupy.asarray(X))


@pytest.mark.parametrize("function", ("quantize", "encode", "exp", "sum", "ulp", "next_up"))
def test_what_is_exported_answers_a_device_with_its_array(cupy, function):
    expected = getattr(fl, function)(X, "bf16")
    result = getattr(fl, function)(cupy.asarray(X), "bf16")
    assert isinstance(result, cupy.ndarray)
    assert np.array_equal(
        np.asarray(result.get()).view(f"u{expected.dtype.itemsize}"),
        np.asarray(expected).view(f"u{expected.dtype.itemsize}"),
    )
