"""How fast are the numbers on this machine? quantize, encode, decode and matmul beside a copy and beside peers.

Ratios say more than seconds: 4 copies are 4 copies on every machine. docs/performance.md has more cases and more peers.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from floatlab.cli.console import print_table
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul
from floatlab.system.timing import take_turns

__all__ = ["bench_command", "measure"]

Calls = dict[str, Callable[[], Any]]
COLUMNS = ("format", "what", "ms>", "ns each>", "beside", "times>")
_DISPENSABLE = ("ns each>", "ms>")
_SIDE = 256  # of the matrices of a product: small enough to take no time
_ROUNDS = 5


def bench_command(formats: Sequence[str], *, size: int, as_json: bool) -> None:
    """Measure, and print a table or JSON.

    Parameters
    ----------
    formats : sequence of str
        Which formats.
    size : int
        How many numbers are rounded, encoded and decoded.
    as_json : bool
        Print the same as data.
    """
    chosen = [get_format(name) for name in formats]
    if not chosen:
        raise OptionError("A benchmark needs a format. Got none. Name one, as --format fp16.")
    rows = [row for fmt in dict.fromkeys(chosen) for row in measure(fmt, size)]
    about = {"numbers": size, "matrices": _SIDE, "python": platform.python_version(), "numpy": np.__version__,
             "machine": platform.machine(), "cores": os.cpu_count()}  # fmt: skip
    if as_json:
        print(json.dumps({**about, "rows": rows}, indent=2))
        return
    cells = []
    for row in rows:
        cells += _cells(row)
    print_table(f"{size:,} numbers; products of {_SIDE} x {_SIDE} matrices", COLUMNS, cells, _DISPENSABLE, 2)
    print("times: what floatlab takes over what stands beside it; below 1, floatlab is faster.")


def _cells(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a line of the table for each contender that a row compares with."""
    own = row["seconds"]["floatlab"]
    lines = []
    for k, (who, ratio) in enumerate(row["times"].items()):
        first = (row["format"], row["what"], f"{1e3 * own:.3g}", f"{1e9 * own / row['size']:.3g}")
        lines.append(
            (*(first if k == 0 else ("", "", "", "")), who, f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}")
        )
    return lines


def measure(fmt: FloatFormat, size: int, rounds: int = _ROUNDS) -> list[dict[str, Any]]:
    """Return for each of the four what it took: seconds of each contender, and floatlab's over each other's.

    The numbers are spread over the format's normal range, as far as float32 reaches; they are float32, or float64 where
    the format needs it.

    >>> rows = measure(get_format("fp16"), 1000, rounds=1)
    >>> [row["what"] for row in rows], sorted(rows[1]["times"])[0]
    (['quantize', 'decode', 'encode', 'matmul'], 'NumPy')
    """
    rows = []
    for what, calls in _contenders(fmt, size).items():
        seconds = take_turns(calls, rounds)
        times = {who: seconds["floatlab"] / s for who, s in seconds.items() if who != "floatlab"}
        count = _SIDE**2 if what == "matmul" else size
        rows.append({"format": fmt.spec, "what": what, "size": count, "seconds": seconds, "times": times})
    return rows


def _contenders(fmt: FloatFormat, size: int) -> dict[str, Calls]:
    x, a, b = _numbers(fmt, (size,)), _numbers(fmt, (_SIDE, _SIDE)), _numbers(fmt, (_SIDE, _SIDE))
    kept, copied = np.empty_like(x), np.empty_like(x)
    codes, wide = encode(x, fmt), a.astype(np.float64)
    calls: dict[str, Calls] = {
        "quantize": {"floatlab": lambda: quantize(x, fmt, out=kept), "a copy": lambda: np.copyto(copied, x)},
        "decode": {"floatlab": lambda: decode(codes, fmt)},
        "encode": {"floatlab": lambda: encode(x, fmt)},
        "matmul": {"floatlab": lambda: matmul(a, b, fmt), "NumPy float64": lambda: wide @ wide},
    }
    peer, dtype = "NumPy" if fmt.dtype == np.float16 else "ml_dtypes", fmt.dtype
    if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
        narrow = x.astype(dtype)
        calls["quantize"][f"{peer}, there and back"] = lambda: x.astype(dtype).astype(np.float32)
        calls["decode"][peer] = lambda: narrow.astype(np.float32)
        calls["encode"][peer] = lambda: x.astype(dtype)
    if find_spec("torch") is not None:
        _add_torch(calls, fmt, x)
    for what in ("decode", "encode"):  # nothing else stands beside a format of one's own
        calls[what].setdefault("a copy", lambda: np.copyto(copied, x))
    return calls


def _add_torch(calls: dict[str, Calls], fmt: FloatFormat, x: np.ndarray[Any, Any]) -> None:
    """Add PyTorch's conversions, where it is installed and has the format."""
    import torch

    torch.set_num_threads(1)  # as floatlab
    kind = getattr(torch, fmt.spec, None)
    if not isinstance(kind, torch.dtype) or fmt.bits >= 32:
        return
    wide = torch.from_numpy(x)
    narrow = wide.to(kind)
    calls["quantize"]["PyTorch, there and back"] = lambda: wide.to(kind).to(torch.float32)
    calls["decode"]["PyTorch"] = lambda: narrow.to(torch.float32)
    calls["encode"]["PyTorch"] = lambda: wide.to(kind)


def _numbers(fmt: FloatFormat, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return numbers, float32 where that holds the format, that are spread over its normal range."""
    rng = np.random.default_rng(0)
    wide = fmt.precision > 24 or fmt.emax > 127 or fmt.etiny < -149
    low, high = max(np.log2(fmt.smallest_normal), -120.0), min(np.log2(fmt.max), 120.0)
    size = np.exp2(rng.uniform(low, max(high - 1, low + 0.5), shape))
    return (size * rng.choice([-1.0, 1.0] if fmt.signed else [1.0], shape)).astype(
        np.float64 if wide else np.float32
    )
