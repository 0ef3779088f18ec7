"""How fast is the numeric core? floatlab beside every peer that is installed, in one run, on one thread.

    python benchmarks/numeric.py            all of it: a few minutes
    python benchmarks/numeric.py --quick    fewer rounds, for a first look
    python benchmarks/numeric.py --only conversions

The contenders of a case take turns, round after round, so that whatever slows the machine down slows all of them;
what counts is each one's fastest round. Figures are ratios of these. Results go to ``benchmarks/results``:
numeric.json, and the tables of docs/performance.md, which this script writes too.

Arrays are written to where the contender can (`out`), because the pages of a fresh array cost as much as the rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.operations.operate import operate
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import DEFAULT_RANDOM_BITS
from floatlab.sums.matmul import matmul
from floatlab.system.timing import take_turns

HERE = Path(__file__).parent
MILLION = 1 << 20
LARGE = 4 * MILLION

Call = Callable[[], Any]
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass
class Case:
    """One thing to do, and who can do it.

    Attributes
    ----------
    group, name : str
        Where it belongs, and what it is.
    size : int
        Elements.
    contenders : dict of str to callable
        "floatlab" is among them; "numpy.copyto" or another NumPy call is what the ratios are taken to.
    base : str
        The contender that is 1.
    """

    group: str
    name: str
    size: int
    contenders: dict[str, Call]
    base: str = "numpy.copyto"


@dataclass
class Timing:
    """What a case took: seconds of the fastest round of each contender, and floatlab's memory."""

    group: str
    name: str
    size: int
    base: str
    seconds: dict[str, float]
    extra_bytes: int

    def ratio(self, contender: str, to: str) -> float:
        """Return the time of one contender over that of another; NaN if either did not run."""
        return self.seconds.get(contender, np.nan) / self.seconds.get(to, np.nan)


def measure(case: Case, rounds: int) -> Timing:
    """Let the contenders take turns, and keep the fastest round of each."""
    seconds = take_turns(case.contenders, rounds)
    return Timing(
        case.group, case.name, case.size, case.base, seconds, _extra_memory(case.contenders["floatlab"])
    )


def _extra_memory(call: Call) -> int:
    """Return the bytes that a call holds at its peak and gives back; its result is not among them."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = call()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return max(0, peak - max(kept, before))


# -- inputs ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=6)
def inputs(kind: str, fmt: Any, size: int = LARGE) -> np.ndarray[Any, Any]:
    """Return float32 numbers: normal, subnormal, overflowing in the format, or all of these."""
    fmt, rng = fl.get_format(fmt), np.random.default_rng(0)
    low, high = np.log2(fmt.smallest_subnormal), np.log2(fmt.max)
    normal = np.log2(fmt.smallest_normal)
    ends = {
        "spread": (low - 2, min(high + 2, 127.9)),
        "normal": (normal, high - 1),
        "subnormal": (low - 1, normal),
        "overflow": (high - 2, min(high + 2, 127.9)),
    }[kind]
    size_ = np.exp2(rng.uniform(*ends, size))
    return (size_ * rng.choice([-1, 1], size)).astype(np.float32)


def _aligned(size: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Return an array that starts at a multiple of 64 bytes, as large ones from NumPy do not: fair to everyone."""
    width = np.dtype(dtype).itemsize
    raw = np.zeros(size * width + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * width].view(dtype)


# -- peers -------------------------------------------------------------------------------------------------


def _torch() -> Any:
    if find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(1)
    return torch


TORCH = _torch()
TORCH_TYPES = {
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e5m2": "float8_e5m2",
}


def rounding_peers(x: np.ndarray[Any, Any], fmt: Any, rounding: str = "nearest_even") -> dict[str, Call]:
    """Return the peers that can round these numbers to the format and back, with their fastest way."""
    fmt, found = fl.get_format(fmt), dict[str, Call]()
    out = _aligned(x.size, np.float32)
    if rounding == "nearest_even" and fmt.dtype is not None:
        short = np.empty(x.size, fmt.dtype)
        name = "NumPy round trip" if fmt.dtype == np.float16 else "ml_dtypes round trip"

        def round_trip() -> None:
            with np.errstate(all="ignore"):
                np.copyto(short, x, casting="unsafe")
                np.copyto(out, short, casting="unsafe")

        found[name] = round_trip
    if TORCH is not None and rounding == "nearest_even" and fmt.name in TORCH_TYPES:
        tensor = TORCH.from_numpy(x)
        kind = getattr(TORCH, TORCH_TYPES[fmt.name])
        found["PyTorch cast"] = lambda: tensor.to(kind)
        found["PyTorch round trip"] = lambda: tensor.to(kind).to(TORCH.float32)
    if find_spec("gfloat") is not None:
        gfloat = _gfloat(fmt, rounding)
        if gfloat is not None:
            found["gfloat"] = lambda: gfloat(x)
    if find_spec("pychop") is not None and rounding in PYCHOP_MODES and fmt.specials == "ieee":
        import pychop

        pychop.backend("numpy")
        chop = pychop.Chop(
            exp_bits=fmt.exponent_bits, sig_bits=fmt.mantissa_bits, rmode=PYCHOP_MODES[rounding]
        )

        def chopped() -> None:
            with np.errstate(all="ignore"):
                chop(x)

        found["pychop"] = chopped
    return found


PYCHOP_MODES = {
    "nearest_even": 1,
    "toward_positive": 2,
    "toward_negative": 3,
    "toward_zero": 4,
    "stochastic": 5,
    "nearest_zero": 7,
    "nearest_away": 8,
    "to_odd": 9,
}
GFLOAT_FORMATS = {
    "float16": "binary16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "ocp_e4m3",
    "float8_e5m2": "ocp_e5m2",
    "float6_e2m3fn": "ocp_e2m3",
    "float6_e3m2fn": "ocp_e3m2",
    "float4_e2m1fn": "ocp_e2m1",
}
GFLOAT_MODES = {
    "nearest_even": "TiesToEven",
    "nearest_away": "TiesToAway",
    "toward_zero": "TowardZero",
    "toward_positive": "TowardPositive",
    "toward_negative": "TowardNegative",
    "to_odd": "ToOdd",
}


def _gfloat(fmt: Any, rounding: str) -> Callable[[Any], Any] | None:
    import gfloat
    import gfloat.formats

    info = getattr(gfloat.formats, f"format_info_{GFLOAT_FORMATS.get(fmt.name)}", None)
    mode = getattr(gfloat.RoundMode, GFLOAT_MODES.get(rounding, ""), None)
    if info is None or mode is None:
        return None
    saturate = fmt.specials == "finite"
    return lambda x: gfloat.round_ndarray(info, x, mode, saturate)


# -- cases -------------------------------------------------------------------------------------------------

FORMATS = ("fp16", "bf16", "e4m3", "e5m2", "fp6_e2m3", "fp4")
MODES = ("nearest_away", "nearest_zero", "toward_zero", "toward_positive", "toward_negative", "to_odd")


def _copy(x: np.ndarray[Any, Any]) -> Call:
    target = _aligned(x.size, x.dtype)
    return lambda: np.copyto(target, x)


def conversion(
    name: str, x: np.ndarray[Any, Any], fmt: str, peers: bool = True, copy: Call | None = None, **options: Any
) -> Case:
    """Return a case of rounding x to the values of a format, into an array that is there already."""
    x = x if x.strides != (x.itemsize,) else _place(x)
    out = _aligned(x.size, x.dtype)
    rounding = options.get("rounding", "nearest_even")
    contenders = {
        "numpy.copyto": copy or _copy(x),
        "floatlab": lambda: quantize(x, fmt, out=out, **options),
    }
    if peers:
        contenders |= rounding_peers(x, fmt, rounding)
    return Case("conversions", f"{fl.get_format(fmt)}, {name}", x.size, contenders)


def _place(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    placed = _aligned(x.size, x.dtype)
    placed[...] = x
    return placed


def conversions() -> Iterator[Case]:
    """Rounding float32 (and float64) numbers."""
    for fmt in FORMATS:
        yield conversion("spread over all magnitudes", inputs("spread", fmt), fmt)
        yield conversion("normal values only", inputs("normal", fmt), fmt)
    for fmt in ("fp16", "e4m3", "e5m2"):
        yield conversion("subnormal values", inputs("subnormal", fmt), fmt)
        yield conversion("around the maximum", inputs("overflow", fmt), fmt)
        yield conversion("saturating", inputs("spread", fmt), fmt, False, overflow="saturate")
        wide = inputs("spread", fmt).astype(np.float64) * (1 + 2.0**-40)
        case = conversion("from float64", wide, fmt, False)
        out, x = _aligned(LARGE, np.float32), _place(inputs("spread", fmt))
        case.contenders["floatlab from float32"] = lambda x=x, out=out, fmt=fmt: quantize(x, fmt, out=out)
        yield case
        strided = np.repeat(inputs("spread", fmt, MILLION), 2)[::2]
        yield conversion("every other element of an array", strided, fmt)
        yield conversion("1000 elements", inputs("spread", fmt, 1000), fmt)
        x = _place(inputs("spread", fmt))
        fresh = conversion("into a fresh array", x, fmt, False, copy=x.copy)
        fresh.contenders["floatlab"] = lambda x=x, fmt=fmt: quantize(x, fmt)
        yield fresh
    for fmt in ("fp16", "bf16", "e4m3", "e5m2"):
        for mode in MODES:
            case = conversion(mode, inputs("spread", fmt), fmt, rounding=mode)
            out, x = _aligned(LARGE, np.float32), inputs("spread", fmt)
            case.contenders["floatlab, nearest_even"] = lambda x=x, out=out, fmt=fmt: quantize(
                x, fmt, out=out
            )
            yield case
        rng, out = np.random.default_rng(0), _aligned(LARGE, np.float32)
        x = _place(inputs("spread", fmt))
        case = conversion("stochastic", x, fmt, rounding="stochastic", rng=rng)
        case.contenders["floatlab, nearest_even"] = lambda x=x, out=out, fmt=fmt: quantize(x, fmt, out=out)
        case.contenders["drawing the random bits alone"] = lambda rng=rng: rng.integers(
            0, 2**64 - 1, LARGE * DEFAULT_RANDOM_BITS // 64, np.uint64, endpoint=True
        )
        yield case


def codes() -> Iterator[Case]:
    """Between values and codes."""
    for fmt in ("e4m3", "e5m2", "fp16", "bf16"):
        described = fl.get_format(fmt)
        x = _place(inputs("spread", fmt))
        bits = encode(x, fmt)
        typed = bits.view(described.dtype)
        short, wide = np.empty(LARGE, described.dtype), _aligned(LARGE, np.float32)
        peer = "NumPy" if fmt == "fp16" else "ml_dtypes"

        def to_short(short: Any = short, x: Any = x) -> None:
            with np.errstate(all="ignore"):
                np.copyto(short, x, casting="unsafe")

        contenders: dict[str, Call] = {
            "numpy.copyto": _copy(x),
            "floatlab": lambda x=x, fmt=fmt: encode(x, fmt),
            peer: to_short,
        }
        if TORCH is not None:
            tensor, kind = TORCH.from_numpy(x), getattr(TORCH, TORCH_TYPES[described.name])
            contenders["PyTorch cast"] = lambda tensor=tensor, kind=kind: tensor.to(kind)
        yield Case("codes", f"{described}, encode", LARGE, contenders)
        yield Case(
            "codes",
            f"{described}, decode",
            LARGE,
            {
                "numpy.copyto": _copy(x),
                "floatlab": lambda bits=bits, fmt=fmt: decode(bits, fmt),
                peer: lambda wide=wide, typed=typed: np.copyto(wide, typed, casting="unsafe"),
            },
        )


def arithmetic() -> Iterator[Case]:
    """Operations on values of a format, rounded once."""
    for fmt in ("fp16", "bf16", "e4m3"):
        described = fl.get_format(fmt)
        a, b = (_place(quantize(inputs("normal", fmt, MILLION)[::step], fmt)) for step in (1, -1))
        for name in ("add", "multiply", "divide", "sqrt"):
            operands = (np.abs(a),) if name == "sqrt" else (a, b)
            plain, out = getattr(np, name), _aligned(MILLION, np.float32)
            arrays = [fl.array(x, fmt) for x in operands]

            def in_float32(plain: Any = plain, operands: Any = operands, out: Any = out) -> None:
                with np.errstate(all="ignore"):
                    plain(*operands, out=out)

            contenders: dict[str, Call] = {
                "NumPy in float32": in_float32,
                "floatlab": lambda name=name, operands=operands, fmt=fmt, described=described: operate(
                    name, operands, fmt, formats=(described,) * len(operands)
                ),
                "FloatArray": lambda plain=plain, arrays=arrays: plain(*arrays),
            }
            with np.errstate(all="ignore"):
                typed = [x.astype(described.dtype) for x in operands]

            def native(plain: Any = plain, typed: Any = typed) -> Any:
                with np.errstate(all="ignore"):
                    return plain(*typed)

            contenders["NumPy" if fmt == "fp16" else "ml_dtypes"] = native
            yield Case("arithmetic", f"{described}, {name}", MILLION, contenders, "NumPy in float32")


def accumulators() -> Iterator[Case]:
    """Matrix products of 512 x 512 with different accumulators."""
    n = 512
    for fmt in ("fp16", "e4m3"):
        described = fl.get_format(fmt)
        rng = np.random.default_rng(0)
        a, b = (quantize(rng.normal(size=(n, n)).astype(np.float32), fmt) for _ in range(2))
        wide_a, wide_b, out = a.astype(np.float64), b.astype(np.float64), np.empty((n, n))
        for accumulator in ("wide", "exact", "chunked:fp16:fp32:64", "fp16"):
            contenders: dict[str, Call] = {
                "float64 matmul": lambda x=wide_a, y=wide_b, out=out: np.matmul(x, y, out=out),
                "floatlab": lambda a=a, b=b, fmt=fmt, how=accumulator, f=described: matmul(
                    a, b, fmt, accumulator=how, formats=(f, f)
                ),
            }
            name = f"{described}, matmul {n} x {n}, {accumulator}"
            yield Case("accumulators", name, n * n * n, contenders, "float64 matmul")


GROUPS = {
    "conversions": conversions,
    "codes": codes,
    "arithmetic": arithmetic,
    "accumulators": accumulators,
}

# -- targets -----------------------------------------------------------------------------------------------


@dataclass
class Target:
    """A figure to reach, and the one that was reached."""

    claim: str
    wanted: str
    measured: float
    met: bool


def targets(timings: list[Timing]) -> list[Target]:
    """Return what was to be reached, of the cases that were timed."""
    by_name = {timing.name: timing for timing in timings}
    found: list[Target] = []

    def at_most(claim: str, bound: float, name: str, who: str, to: str) -> None:
        if name in by_name and not np.isnan(ratio := by_name[name].ratio(who, to)):
            found.append(Target(claim, f"at most {bound:g}", ratio, ratio <= bound))

    def at_least(claim: str, bound: float, name: str, who: str, to: str) -> None:
        if name in by_name and not np.isnan(ratio := by_name[name].ratio(who, to)):
            found.append(Target(claim, f"at least {bound:g}", ratio, ratio >= bound))

    for fmt in ("float16", "float8_e4m3fn", "float8_e5m2"):
        name = f"{fmt}, spread over all magnitudes"
        at_most(f"{fmt}: time of numpy.copyto", 5, name, "floatlab", "numpy.copyto")
        normal = f"{fmt}, normal values only"
        at_most(f"{fmt}, normal values: time of numpy.copyto", 5, normal, "floatlab", "numpy.copyto")
        if fmt != "float16":
            at_least(
                f"{fmt}: speed of the ml_dtypes round trip", 10, name, "ml_dtypes round trip", "floatlab"
            )
        at_least(f"{fmt}: speed of gfloat", 30, name, "gfloat", "floatlab")
        claim = f"{fmt}, float64 source: time of the float32 source"
        at_most(claim, 2.5, f"{fmt}, from float64", "floatlab", "floatlab from float32")
        small = by_name.get(f"{fmt}, 1000 elements")
        if small is not None:
            micro = small.seconds["floatlab"] * 1e6
            found.append(Target(f"{fmt}, 1000 elements: microseconds", "at most 40", micro, micro <= 40))
    name = "float8_e4m3fn, spread over all magnitudes"
    at_least("float8_e4m3fn: speed of PyTorch's cast and back", 1, name, "PyTorch round trip", "floatlab")
    name = "float8_e4m3fn, encode"
    at_least("float8_e4m3fn, encode: speed of PyTorch's cast", 1, name, "PyTorch cast", "floatlab")
    for fmt in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        for mode in MODES:
            claim = f"{fmt}, {mode}: time of nearest_even"
            at_most(claim, 1.5, f"{fmt}, {mode}", "floatlab", "floatlab, nearest_even")
        name = f"{fmt}, stochastic"
        at_most(f"{fmt}, stochastic: time of nearest_even", 3, name, "floatlab", "floatlab, nearest_even")
    for fmt in ("float8_e4m3fn", "float8_e5m2"):
        at_least(f"{fmt}, decode: speed of ml_dtypes", 5, f"{fmt}, decode", "ml_dtypes", "floatlab")
        at_least(f"{fmt}, encode: speed of ml_dtypes", 3, f"{fmt}, encode", "ml_dtypes", "floatlab")
    large = [t for t in timings if t.group == "conversions" and t.size == LARGE and "fresh" not in t.name]
    if large:
        extra = max(timing.extra_bytes for timing in large) / 2**20
        found.append(Target("extra memory for 4 million elements, MiB", "at most 4", extra, extra <= 4))
    return found


# -- tables ------------------------------------------------------------------------------------------------


def _figure(x: float) -> str:
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def to_markdown(timings: list[Timing], reached: list[Target], about: dict[str, str]) -> str:
    """Return the tables of docs/performance.md."""
    lines = [", ".join(f"{key} {value}" for key, value in about.items()) + "; one thread.", ""]
    lines += ["### Targets", "", "| what | wanted | measured | |", "|---|---|---:|---|"]
    for target in reached:
        verdict = "met" if target.met else "**not met**"
        lines.append(f"| {target.claim} | {target.wanted} | {_figure(target.measured)} | {verdict} |")
    for group in dict.fromkeys(timing.group for timing in timings):
        chosen = [timing for timing in timings if timing.group == group]
        peers = list(dict.fromkeys(who for timing in chosen for who in timing.seconds))
        peers = [who for who in peers if who not in (chosen[0].base, "floatlab")]
        lines += ["", f"### {group.capitalize()}", ""]
        lines.append(
            "| case | floatlab / " + chosen[0].base + " | " + " | ".join(f"{who} / floatlab" for who in peers)
        )
        lines[-1] += " | extra KiB |"
        lines.append("|---|---:|" + "---:|" * (len(peers) + 1))
        for timing in chosen:
            cells = [timing.ratio(who, "floatlab") for who in peers]
            row = " | ".join("" if np.isnan(cell) else _figure(cell) for cell in cells)
            own = _figure(timing.ratio("floatlab", timing.base))
            lines.append(f"| {timing.name} | {own} | {row} | {timing.extra_bytes / 1024:,.0f} |")
    return "\n".join(lines) + "\n"


def show(timing: Timing, console: Any) -> None:
    own = timing.ratio("floatlab", timing.base)
    others = [
        f"{who} {_figure(timing.ratio(who, 'floatlab'))}×"
        for who in timing.seconds
        if who not in (timing.base, "floatlab")
    ]
    console.print(f"{timing.name:55} {_figure(own):>7}× {timing.base}   {', '.join(others)}", highlight=False)


def write_page(tables: str) -> None:
    """Put the tables between the two marks of docs/performance.md."""
    page = HERE.parent / "docs" / "performance.md"
    start, end = "<!-- tables: start -->", "<!-- tables: end -->"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(start)[0], text.split(end)[1]
    page.write_text(f"{before}{start}\n\n{tables}\n{end}{after}", encoding="utf-8")


def main() -> None:
    from rich.console import Console

    if not ONE_THREAD.items() <= os.environ.items():  # the libraries look when they are loaded: begin again
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="4 rounds instead of 12")
    parser.add_argument("--only", choices=GROUPS, action="append", help="only this group of cases")
    parser.add_argument("--match", default="", help="only cases whose name has this in it")
    parser.add_argument("--no-write", action="store_true", help="leave results and page as they are")
    chosen = parser.parse_args()
    console, timings = Console(width=200), list[Timing]()
    for group in chosen.only or GROUPS:
        console.rule(group)
        for case in GROUPS[group]():
            if chosen.match in case.name:
                timings.append(measure(case, 4 if chosen.quick else 12))
                show(timings[-1], console)
    reached = targets(timings)
    console.rule("targets")
    for target in reached:
        style = "green" if target.met else "red"
        text = f"{target.claim:60} {target.wanted:>13}   [{style}]{_figure(target.measured)}[/]"
        console.print(text, highlight=False)
    about = {"Python": platform.python_version(), "machine": platform.machine()}
    peers = ("numpy", "ml_dtypes", "torch", "gfloat", "pychop")
    about |= {name: version(name) if find_spec(name) else "not installed" for name in peers}
    if not chosen.no_write and not chosen.only and not chosen.match:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        tables = to_markdown(timings, reached, about)
        record = {
            "about": about,
            "timings": [asdict(t) for t in timings],
            "targets": [asdict(t) for t in reached],
        }
        (results / "numeric.json").write_text(
            json.dumps(record, indent=1, default=bool) + "\n", encoding="utf-8"
        )
        (results / "numeric.md").write_text(tables, encoding="utf-8")
        write_page(tables)


if __name__ == "__main__":
    main()
