"""How is a file of numbers converted that does not fit into memory? A block at a time, with the bits of the whole.

`convert` reads an .npy file and writes another one, of the values or of the codes of a format. It needs memory for one
block, however long the file is, and it goes on where it was interrupted.

- `source.py`: the file that is read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from floatlab.backend import Array
from floatlab.codes.encode import encode
from floatlab.conversion.source import NumpyFile
from floatlab.errors import DataError, OptionError, OverflowPolicyError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.options import RoundingOptions, rule_of
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system import provenance
from floatlab.system.files import as_path
from floatlab.system.partial import PartialFile

__all__ = ["BLOCK", "Converted", "convert"]

#: How many numbers are converted together: a few MiB of memory, in which the reading and writing cost little.
BLOCK = 1 << 18


@dataclass(frozen=True)
class Converted:
    """What has been written.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its type.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def convert(
    path: str | Path,
    fmt: str | FloatFormat,
    out: str | Path,
    *,
    to: str = "values",
    fresh: bool = False,
    on_start: Callable[[int, int, bool], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    **options: Unpack[RoundingOptions],
) -> Converted:
    """Write the values, or the codes, of the numbers of an .npy file to another one.

    Parameters
    ----------
    path : path
        An .npy file of real numbers of any type and shape. What it holds in Fortran's order stays in that order.
    fmt : str, FloatFormat or dtype
        The format.
    out : path
        The file to write, which appears when it is whole. Until then what is done stays beside it, and the same call
        goes on from there.
    to : {"values", "codes"}
        Whether `quantize` or `encode` says what is written: the result of one call for the whole array, bit for bit.
    fresh : bool
        Whether to begin anew where an earlier call would be gone on with.
    on_start : callable, optional
        Called once with how many numbers were converted before, how many there are, and whether the part of another
        call, with another input or other options, has been given up.
    on_progress : callable, optional
        Called with how many numbers have been converted, block by block.
    **options
        Those of `quantize`. Of rng only a seed: a generator could not go on where it stopped.

    Returns
    -------
    Converted

    Raises
    ------
    DataError
        If a file cannot be read or written, or changes meanwhile.
    DtypeError, FormatError, OptionError, OverflowPolicyError
        As in `quantize`. Also for stochastic rounding of a file in Fortran's order: the random integers go by C order.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "x.npy", np.float32([0.1, 1000]), allow_pickle=False)
    >>> convert(folder / "x.npy", "e4m3", folder / "y.npy", overflow="saturate").dtype
    dtype('float32')
    >>> np.load(folder / "y.npy", allow_pickle=False).tolist()
    [0.1015625, 448.0]
    """
    fmt = get_format(fmt)
    check_option("to", to, ("values", "codes"))
    function: Callable[..., Array] = encode if to == "codes" else quantize
    stochastic = rule_of(function.__name__, fmt, options).variant is not None
    source = NumpyFile.open(as_path(path))
    place = as_path(out)
    if place.exists() and place.samefile(source.path):
        raise DataError(
            f"A file is not written over while it is read. Got {out} for both. Name another file."
        )
    draw = _integers(source, options) if stochastic else None
    plain: dict[str, Any] = {name: value for name, value in options.items() if name != "rng"}
    dtype = _converted(function, np.empty(0, source.dtype), fmt, draw, 0, plain).dtype
    header = _header(source, dtype)
    head = source.identity() | {
        "to": to,
        "format": fmt.spec,
        "options": {name: value for name, value in options.items() if value is not None},
        "source": provenance.fingerprint(provenance.CONVERSION),
    }
    with PartialFile(place, head, fresh) as part:
        if not part.done:
            part.write(header)
        done = (part.done - len(header)) // dtype.itemsize
        if draw is not None:
            draw.skip(done)
        if on_start is not None:
            on_start(done, source.size, part.is_other)
        try:
            for block, x in source.blocks(done, BLOCK):
                values = _converted(function, x, fmt, draw, block.start, plain)
                part.write(values.view(np.uint8))
                if on_progress is not None:
                    on_progress(block.stop)
            source.refuse_changes()
        except OverflowPolicyError:  # a NaN in a format without one: nobody can go on after it
            part.give_up()
            raise
        part.finish()
    return Converted(place, source.shape, dtype)


def _integers(source: NumpyFile, options: RoundingOptions) -> RandomIntegers:
    """Return the random integers of a stochastic rounding."""
    seed = options.get("rng")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(
            "Stochastic rounding of a file takes its randomness from a seed, with which it can go on. "
            f"Got {seed!r}. Use an integer from 0 on: --seed 0."
        )
    if source.fortran:
        raise OptionError(
            "Random integers go by the elements in C order. Got a file in Fortran's order, which is read as it lies: "
            f"{source.path}. Save it with numpy.save(path, numpy.ascontiguousarray(x)), or choose another rounding."
        )
    return RandomIntegers(seed, options.get("random_bits"), None)


def _converted(
    function: Callable[..., Array],
    x: Array,
    fmt: FloatFormat,
    draw: RandomIntegers | None,
    start: int,
    options: dict[str, Any],
) -> Array:
    """Convert the numbers from number `start` on."""
    if draw is None:
        return function(x, fmt, **options)
    return function(
        x, fmt, **options | {"random_bits": draw.bits, "random_integers": draw.block(start, x.size)}
    )


def _header(source: NumpyFile, dtype: np.dtype[Any]) -> bytes:
    """Return what stands before the numbers: what numpy.save would write."""
    text = io.BytesIO()
    fields = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": source.fortran,
        "shape": source.shape,
    }
    np.lib.format.write_array_header_1_0(text, fields)
    return text.getvalue()
