"""What would happen to my tensors in another format? Shares that are lost, noise, scales, and a recommendation.

- `source.py`: a tensor, of which parts are read.
- `safetensors.py`, `numpy_files.py`, `pytorch.py`: files, checked and read in parts.
- `sources.py`: where tensors come from.
- `outcomes.py`, `shown.py`, `report.py`: what is said of them, as data and as a table.
- `scales.py`: by what they are multiplied.
- `measurement.py`: what becomes of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from floatlab.errors import DataError, OptionError, check_option, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.inspection.measurement import SCALINGS, measure
from floatlab.inspection.outcomes import Outcome, TensorReport
from floatlab.inspection.report import SORTS, Report
from floatlab.inspection.source import Source, sampled
from floatlab.inspection.sources import sources_of

__all__ = ["Outcome", "Report", "TensorReport", "inspect"]

Advance = Callable[[int], Any]


def inspect(
    x: Any,
    formats: str | FloatFormat | Sequence[str | FloatFormat] = ("bf16", "fp16", "e4m3", "e5m2"),
    scaling: str | Sequence[str] = ("none", "tensor", "channel"),
    *,
    sample: int | None = None,
    filter: str | None = None,
    sort: str = "lost",
    progress: bool = False,
) -> Report:
    """Say what would happen to tensors in other formats.

    Every number is counted, and no more than some thousand are in memory at a time, so a file may be larger than that.

    Parameters
    ----------
    x : array_like, mapping, module, or path
        An array, a `FloatArray` or a tensor; a mapping of names to such; anything with a ``state_dict()``; or the path
        of an .npy, .npz, .safetensors, .safetensors.index.json, .pt or .pth file (the last two by an installed
        PyTorch, with ``weights_only=True``). Nothing is unpickled. Tensors of integers are listed as "not floats".
    formats : format, or sequence of them
        Which formats; signed ones with a zero.
    scaling : str, or sequence of str
        By what the numbers are multiplied before they are rounded: "none"; "tensor" (the best power of two for the
        tensor); "tensor_real" (the best factor, power of two or not); "channel" (a power of two for each index of the
        first axis, the largest at which nothing overflows; tensors with two axes and more). Of formats of at most 8
        bits, blocks along the last axis may share a scale: "tile128" (128 numbers a float32), "mx32" (32 a power of
        two, the smallest at which nothing saturates) or "nv16" (16 a scale in e4m3, and the tensor a float32);
        `docs/block-formats.md` says more of them.
    sample : int, optional
        Look at about so many numbers of each tensor: evenly spaced rows, or parts of them.
    filter : str, optional
        Only tensors whose name matches this pattern: ``"*.weight"``. Case matters.
    sort : str
        "lost", "underflow", "subnormal", "overflow" or "sqnr" (the worst first), "size", "name" or "file".
    progress : bool
        Whether to show a bar on standard error.

    Returns
    -------
    Report
        It prints as a table, and has `to_dict`, `to_csv`, `recommend` and `fail_if`.

    Raises
    ------
    DataError
        If a file is missing, damaged or of another kind, or no tensor has such a name.
    DtypeError
        If something is no array of real numbers.
    FormatError, OptionError
        If a format or an option is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> report = inspect({"w": np.array([1e-9, 1.0, 500.0])}, formats=("fp16", "e4m3"), scaling="none")
    >>> [(o.format, o.underflow, o.overflow) for o in report.outcomes]
    [('float16', 1, 0), ('float8_e4m3fn', 1, 1)]
    """
    chosen = _formats(formats)
    kinds = tuple(scaling) if isinstance(scaling, list | tuple | set | frozenset | dict) else (scaling,)
    for kind in kinds:
        check_option("scaling", kind, SCALINGS)
    if not kinds:
        raise OptionError('At least one scaling is looked at. Got none. Use "none" for numbers as they are.')
    kinds = tuple(kind for kind in SCALINGS if kind in kinds)  # from the simplest on
    check_option("sort", sort, SORTS)
    check_switch("progress", progress)
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int) or sample < 1):
        raise OptionError(f"sample is how many numbers to look at. Got {sample!r}. Use 1 or more.")
    sources = sources_of(x)
    wanted = [source for source in sources if filter is None or fnmatchcase(source.name, filter)]
    if not wanted:
        first = ", ".join(source.name for source in sources[:5]) or "no tensors"
        raise DataError(
            f"There is a tensor to look at. Got none for {filter!r} of {first}. Use another filter."
        )
    looked_at = [source if sample is None else sampled(source, sample) for source in wanted]
    with _bar(looked_at, progress) as advance, np.errstate(all="ignore"):
        tensors = [
            measure(part, chosen, kinds, elements=whole.size, shape=whole.shape, advance=advance)
            for part, whole in zip(looked_at, wanted, strict=True)
        ]
    names = tuple(fmt.spec for fmt in chosen)
    return Report(tensors=tuple(sorted(tensors, key=SORTS[sort])), formats=names, scaling=kinds)


def _formats(formats: Any) -> list[FloatFormat]:
    one = isinstance(formats, str | FloatFormat) or not isinstance(formats, Sequence)
    chosen = list(dict.fromkeys(get_format(fmt) for fmt in ([formats] if one else formats)))
    if not chosen:
        raise OptionError('At least one format is looked at. Got none. Use "e4m3", for example.')
    for fmt in chosen:
        if not (fmt.signed and fmt.has_zero):
            raise OptionError(
                f"Tensors are looked at in formats with a sign and a zero. Got {fmt}. Use e4m3, for example."
            )
    return chosen


@contextmanager
def _bar(sources: Sequence[Source], shown: bool) -> Iterator[Advance]:
    """Yield the function that moves the bar by a number of elements; each is passed over twice."""
    if not shown:
        yield lambda elements: None
        return
    from rich.progress import Progress

    from floatlab.system.terminal import make_console

    total = 2 * math.fsum(source.size for source in sources if source.read is not None)
    with Progress(console=make_console(stderr=True), transient=True) as progress:
        bar = progress.add_task("inspecting", total=total)
        yield lambda elements: progress.advance(bar, elements)
