"""What are pandas' and xarray's arrays, as one of NumPy's? Their values; a result of the same elements has the labels.

The values of a DataArray may be another library's array, a lazy one among them: `take` hands it on as it is.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import Any

import numpy as np

from floatlab.errors import DtypeError
from floatlab.interchange.library import Array, Library, loaded

__all__ = ["Labelled", "Pandas", "Xarray"]


class Labelled(Library):
    """A library whose arrays have labels."""

    labelled = True

    @abstractmethod
    def same_labels(self, x: Any, y: Any) -> bool:
        """Whether two of its arrays have the same labels in the same order."""


class Pandas(Labelled):
    """Series and DataFrames."""

    name = "pandas"

    def owns(self, kind: type) -> bool:
        """Whether this is a Series or a DataFrame."""
        kinds = (loaded("pandas", "Series"), loaded("pandas", "DataFrame"))
        return any(known is not None and issubclass(kind, known) for known in kinds)

    def take(self, x: Any, done: str, looking: bool = False) -> Array:
        """Return the values, exactly; columns of several types that no NumPy type holds become objects."""
        if x.ndim == 1:
            return _values(x, done)
        columns = [_values(x.iloc[:, i], done) for i in range(x.shape[1])]
        types = {column.dtype for column in columns}
        if len(types) <= 1:
            return np.asarray(x.to_numpy(dtype=types.pop() if types else None))
        try:
            common = np.result_type(*types)
        except TypeError:  # numbers beside dates
            common = np.dtype(object)
        if common.kind == "f" and any(t.kind in "iu" and t.itemsize >= common.itemsize for t in types):
            common = np.dtype(object)  # or long integers would be rounded among floats
        return np.stack([column.astype(common) for column in columns], axis=1)

    def give(self, values: Array, like: Any) -> Any:
        """Return a Series or a DataFrame with the labels of `like`."""
        pandas = sys.modules["pandas"]
        if like.ndim == 1:
            return pandas.Series(values, index=like.index, name=like.name)
        return pandas.DataFrame(values, index=like.index, columns=like.columns)

    def same_labels(self, x: Any, y: Any) -> bool:
        """Whether two of them have the same index, and columns."""
        if x.ndim != y.ndim or not x.index.equals(y.index):
            return False
        return x.ndim == 1 or bool(x.columns.equals(y.columns))


def _values(x: Any, done: str) -> Array:
    """Return the values of a Series, of which none is missing."""
    if isinstance(x.dtype, np.dtype):
        return np.asarray(x.to_numpy())
    if x.isna().any():
        raise DtypeError(
            f"A missing value cannot be {done}. Got a Series of {x.dtype} with {int(x.isna().sum())} of them. "
            "Use x.fillna(value), or x.dropna()."
        )
    return np.asarray(x.to_numpy(dtype=getattr(x.dtype, "numpy_dtype", None)))


class Xarray(Labelled):
    """DataArrays, and Variables."""

    name = "xarray"

    def owns(self, kind: type) -> bool:
        """Whether this is a DataArray, a Variable, or a Dataset, which is none of them and is refused."""
        kinds = (loaded("xarray", name) for name in ("DataArray", "Variable", "Dataset"))
        return any(known is not None and issubclass(kind, known) for known in kinds)

    def take(self, x: Any, done: str, looking: bool = False) -> Any:
        """Return what it holds: an array of NumPy's, a FloatArray, or a lazy one."""
        if isinstance(x, sys.modules["xarray"].Dataset):
            raise DtypeError(
                f"Arrays are {done}, and a Dataset is several. Got one of {len(x)}. "
                "Use dataset.map(function), or its arrays one by one."
            )
        return x.data

    def give(self, values: Array, like: Any) -> Any:
        """Return a copy of `like` with other values; dimensions, coordinates, name and attributes stay."""
        return like.copy(data=values)

    def same_labels(self, x: Any, y: Any) -> bool:
        """Whether two of them have the same dimensions in the same order, and the same indexes."""
        if x.dims != y.dims:
            return False
        ours, theirs = (getattr(one, "indexes", {}) for one in (x, y))
        return set(ours) == set(theirs) and all(ours[name].equals(theirs[name]) for name in ours)
