"""Public functions hand back what they were given; tests/interchange tries each library's arrays."""

import inspect
import pickle

import numpy as np
import pytest

import floatlab as fl
from floatlab.border import open_to_all
from floatlab.errors import DtypeError
from floatlab.rounding.quantize import quantize


def test_numpys_arrays_and_numbers_go_straight_to_the_function():
    seen = []

    def function(x, fmt, **options):
        seen.append((x, fmt, options))
        return x

    x = np.ones(3)
    assert open_to_all(function)(x, "fp16", rounding="to_odd") is x
    assert seen[0][0] is x and seen[0][1:] == ("fp16", {"rounding": "to_odd"})


def test_the_form_for_tracked_flags_is_called_where_somebody_tracks_them():
    function = open_to_all(lambda x: "plain", lambda x: "tracked")
    assert function(1.0) == "plain"
    with fl.track_flags():
        assert function(1.0) == "tracked"


def test_a_public_function_keeps_its_name_its_help_and_its_arguments():
    assert fl.quantize.__doc__ == quantize.__doc__
    assert inspect.signature(fl.quantize) == inspect.signature(quantize)
    assert pickle.loads(pickle.dumps(fl.quantize)) is fl.quantize


class Foreign:
    """An array of memory that is not this machine's."""

    shape, dtype = (2,), np.dtype(np.float32)

    def __dlpack_device__(self):
        return (2, 0)  # CUDA

    def __dlpack__(self, **options):
        raise BufferError("not here")


def test_memory_of_a_device_whose_library_is_unknown_is_refused_in_words():
    with pytest.raises(DtypeError, match="Got"):
        fl.quantize(Foreign(), "fp16")
