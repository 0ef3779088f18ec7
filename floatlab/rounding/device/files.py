"""Where is the C++ of the kernels? In files of its own, beside this one."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

__all__ = ["source", "word_type"]


@lru_cache(maxsize=16)
def source(name: str) -> str:
    """Return the C++ of a file of this folder.

    >>> source("codes.cuh").startswith("// Which bits of a format are this value")
    True
    """
    return files("floatlab.rounding.device").joinpath(name).read_text(encoding="utf-8")


def word_type(dtype: np.dtype[Any]) -> str:
    """Return the name of the integer type as wide as a type, which holds its bits.

    >>> word_type(np.dtype(np.float32)), word_type(np.dtype(np.uint8))
    ('uint32', 'uint8')
    """
    return f"uint{8 * dtype.itemsize}"
