"""Does a GPU give the processor's bits? The proof, for one call on a machine that has one.

    python benchmarks/gpu_proof.py --out proof          on a GPU: nine minutes
    python benchmarks/gpu_proof.py --out proof --dry-run    on the tests' stand-in: smaller numbers, no GPU

Each finding is a line of JSON in ``proof/proof.jsonl``, written at once, so that a run that is cut off keeps what it
had; a section that is there already is not run again. The processor's side is `floatlab.quantize` on all cores.

Sections: environment, exhaustive (all 2^32 float32 numbers, to nearest even, for each format that float32 holds), modes
(2^24 numbers for each format, mode and policy), wide (float64 numbers), codes, words (PCG64), operations, functions,
products, bandwidth (rounding against a copy on the device).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl
from floatlab.errors import FloatlabError
from floatlab.rounding.device.random_words import random_words
from floatlab.rounding.modes import MODES, draws

HERE = Path(__file__).parent
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"overflow": "infinity"},
    {"overflow": "nan"},
    {"overflow": "saturate"},
    {"overflow": "propagate"},
    {"subnormals": "flush"},
    {"flush_inputs": True},
)
CORES = os.cpu_count() or 1
Say = Callable[..., None]


class Device:
    """CuPy and its GPU, or the stand-in of the tests."""

    def __init__(self, xp: Any, real: bool) -> None:
        self.xp, self.real = xp, real

    def wait(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.real:
            self.xp.cuda.Device().synchronize()

    def up(self, x: np.ndarray) -> Any:
        """Return an array of the device."""
        return self.xp.asarray(x)

    def down(self, x: Any) -> np.ndarray:
        """Return an array of the device here."""
        return np.asarray(self.xp.asnumpy(x))

    def landing(self, size: int) -> np.ndarray:
        """Return room here for float32 numbers of the device, which a transfer reaches directly."""
        if not self.real:
            return np.empty(size, np.float32)
        return np.frombuffer(self.xp.cuda.alloc_pinned_memory(4 * size), np.float32, size)

    def fetch(self, x: Any, into: np.ndarray) -> None:
        """Copy an array of the device here."""
        if self.real:
            x.get(out=into)
        else:
            into[...] = x.get()

    def size(self, bits: int, dry: int) -> int:
        """Return a number of elements: 2^bits on a device, 2^dry on the stand-in."""
        return 1 << (bits if self.real else dry)


POOL = ThreadPoolExecutor(CORES)


def by_cores(function: Callable[..., None], size: int) -> None:
    """Call a function of (start, stop) for pieces of an array, on all cores; NumPy lets the interpreter go."""
    edges = np.linspace(0, size, 4 * CORES + 1).astype(int)
    list(POOL.map(function, edges[:-1], edges[1:]))


def rounded_here(x: np.ndarray, fmt: Any, **options: Any) -> np.ndarray:
    """Return `quantize` of an array, computed on all cores; random integers are cut up with it."""
    out = np.empty(x.shape, np.float64 if fmt.value_dtype.itemsize == 8 else x.dtype)
    integers = options.pop("random_integers", None)

    def piece(a: int, b: int) -> None:
        own = options if integers is None else {**options, "random_integers": integers[a:b]}
        fl.quantize(x[a:b], fmt, out=out[a:b], **own)

    by_cores(piece, x.size)
    return out


def differing(a: np.ndarray, b: np.ndarray) -> int:
    """Return how many results differ in a bit; any two NaNs of one sign are alike."""
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype)
    found = np.zeros(4 * CORES, np.int64)
    edges = np.linspace(0, a.size, found.size + 1).astype(int)

    def piece(place: int) -> None:
        x, y = a[edges[place] : edges[place + 1]], b[edges[place] : edges[place + 1]]
        unlike = x.view(f"u{x.itemsize}") != y.view(f"u{y.itemsize}")
        if x.dtype.kind == "f" and unlike.any():
            unlike &= ~(np.isnan(x) & np.isnan(y) & (np.signbit(x) == np.signbit(y)))
        found[place] = unlike.sum()

    list(POOL.map(piece, range(found.size)))
    return int(found.sum())


def without_nan(x: np.ndarray, fmt: Any) -> np.ndarray:
    """Return numbers that a format takes: zeros for NaN where it has none."""
    return x if fmt.has_nan else np.where(np.isnan(x), x.dtype.type(0), x)


def conversions(fmt: Any) -> Iterator[dict[str, Any]]:
    """Yield the options of every conversion to a format that is allowed."""
    for mode, policy in itertools.product(MODES, POLICIES):
        try:
            fl.quantize(1.0, fmt, rounding=mode, **policy, **({"random_integers": 0} if draws(mode) else {}))
        except FloatlabError:
            continue
        yield {"rounding": mode, **policy}


# -- sections -------------------------------------------------------------------------------------------


def environment(device: Device, say: Say, until: float) -> None:
    """Which machine is this, and does CuPy flush float32 subnormals there?"""
    if not device.real:
        say(device="the stand-in of the tests", numpy=np.__version__, cores=CORES)
        return
    xp = device.xp
    chip, tiny = xp.cuda.runtime.getDeviceProperties(0), xp.asarray(np.float32([2.0**-130]))
    say(
        device=chip["name"].decode(),
        compute_capability=f"{chip['major']}.{chip['minor']}",
        driver=xp.cuda.runtime.driverGetVersion(),
        cupy=xp.__version__,
        numpy=np.__version__,
        cores=CORES,
        cupy_product_flushes=float((tiny * np.float32(1))[0]) == 0.0,
        cupy_cast_flushes=float(tiny.astype(np.float64)[0]) == 0.0,
        cupy_comparison_flushes=not bool((tiny > 0)[0]),
    )


def exhaustive(device: Device, say: Say, until: float) -> None:
    """All float32 numbers, to nearest even."""
    xp, bits = device.xp, 32 if device.real else 18
    piece, step = min(1 << 27, 1 << bits), 1 << (32 - bits)
    landing = device.landing(piece)
    held = [fmt for fmt in fl.formats() if fmt.value_dtype == np.float32]
    first = [fl.get_format(name) for name in ("fp16", "bf16", "tf32", "e4m3", "e5m2", "fp6_e3m2", "fp4")]
    for fmt in [*first, *(fmt for fmt in held if fmt not in first)]:
        wrong = done = 0
        began, on_device = time.time(), 0.0
        for start in range(0, 1 << bits, piece):
            if time.time() > until:
                break
            given = xp.arange(start, start + piece, dtype=np.uint32) * np.uint32(step)
            if not fmt.has_nan:  # the codes of NaN become zeros on both sides
                given = xp.where((given & np.uint32(0x7FFFFFFF)) > 0x7F800000, np.uint32(0), given)
            device.wait()
            moment = time.perf_counter()
            result = fl.quantize(given.view(np.float32), fmt)
            device.wait()
            on_device += time.perf_counter() - moment
            device.fetch(result, landing)
            wrong += _unlike_numbers_in_order(landing, start, step, fmt)
            done += piece
        say(
            format=fmt.name,
            inputs=done,
            of=1 << bits,
            differing=wrong,
            seconds=round(time.time() - began, 1),
            device_ns_each=round(on_device / max(done, 1) * 1e9, 4),
        )


def _unlike_numbers_in_order(found: np.ndarray, start: int, step: int, fmt: Any) -> int:
    """Return how many results differ from what the words from `start` on, by `step`, become here."""
    short = 1 << 18  # so that a piece stays in a cache
    counts = np.zeros(-(-found.size // short), np.int64)

    def piece(place: int) -> None:
        mine = found[place * short : (place + 1) * short]
        first = start + place * short
        x = (np.arange(first, first + mine.size, dtype=np.uint32) * np.uint32(step)).view(np.float32)
        expected = fl.quantize(without_nan(x, fmt), fmt)
        unlike = expected.view(np.uint32) != mine.view(np.uint32)
        if unlike.any():
            both = np.isnan(expected) & np.isnan(mine) & (np.signbit(expected) == np.signbit(mine))
            counts[place] = (unlike & ~both).sum()

    list(POOL.map(piece, range(counts.size)))
    return int(counts.sum())


def modes(device: Device, say: Say, until: float) -> None:
    """Every format, mode and policy, on strided float32 numbers; the stochastic modes with integers given."""
    size = device.size(24, 12)
    rng = np.random.default_rng(0)
    step = (1 << 32) // size
    words = np.arange(size, dtype=np.uint64) * np.uint64(step) + rng.integers(0, step, size, np.uint64)
    x = words.astype(np.uint32).view(np.float32)
    integers = rng.integers(0, 1 << 16, size).astype(np.uint16)
    there, integers_there = device.up(x), device.up(integers)
    wrong, tried, cut = [], 0, 0
    cases = [(fmt, options) for fmt in fl.formats() for options in conversions(fmt)]
    rng.shuffle(cases)  # what is cut off is of every kind
    if device.real:  # a kernel takes an eighth of a second to compile
        list(
            POOL.map(
                lambda case: fl.quantize(there[:64], case[0], **case[1], **_drawn(case, integers_there[:64])),
                cases,
            )
        )
    for fmt, options in cases:
        if time.time() > until:
            cut += 1
            continue
        given = x if fmt.has_nan else without_nan(x, fmt)
        given_there = there if fmt.has_nan else device.up(given)
        result = fl.quantize(given_there, fmt, **options, **_drawn((fmt, options), integers_there))
        expected = rounded_here(given, fmt, **options, **_drawn((fmt, options), integers))
        n = differing(expected, device.down(result))
        tried += 1
        if n:
            wrong.append([fmt.name, options, n])
    say(conversions=tried, inputs_each=size, cut_off=cut, conversions_that_differ=len(wrong), first=wrong[:5])


def _drawn(case: tuple[Any, dict[str, Any]], integers: Any) -> dict[str, Any]:
    return {"random_integers": integers} if draws(case[1]["rounding"]) else {}


def wide(device: Device, say: Say, until: float) -> None:
    """Float64 numbers near every format's range, in every mode, and float16 numbers, all of them."""
    rng = np.random.default_rng(1)
    wrong, tried, results = [], 0, 0
    for fmt in fl.formats():
        scale = np.exp2(rng.uniform(fmt.etiny - 3, min(fmt.emax + 2, 1023), device.size(18, 9)))
        x = np.concatenate(
            [scale * rng.choice([-1, 1], scale.size), rng.integers(0, 2**63, 1000).view(np.float64)]
        )
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        for given, mode in itertools.product((without_nan(x, fmt), without_nan(halves, fmt)), MODES):
            if time.time() > until:
                break
            extra = {"random_integers": rng.integers(0, 1 << 16, given.size)} if draws(mode) else {}
            there = {name: device.up(value) for name, value in extra.items()}
            result = device.down(fl.quantize(device.up(given), fmt, rounding=mode, **there))
            n = differing(fl.quantize(given, fmt, rounding=mode, **extra), result)
            tried, results = tried + 1, results + given.size
            if n:
                wrong.append([fmt.name, str(given.dtype), mode, n])
    say(conversions=tried, results=results, conversions_that_differ=len(wrong), first=wrong[:5])


def codes(device: Device, say: Say, until: float) -> None:
    """Codes of strided float32 numbers, and the values of every code of up to 16 bits."""
    size = device.size(22, 12)
    x = (np.arange(size, dtype=np.uint64) * np.uint64((1 << 32) // size)).astype(np.uint32).view(np.float32)
    wrong, results = [], 0
    for fmt in fl.formats():
        given = without_nan(x, fmt)
        n = differing(fl.encode(given, fmt), device.down(fl.encode(device.up(given), fmt)))
        some = np.arange(1 << min(fmt.bits, 16), dtype=fmt.code_dtype) << fmt.code_dtype.type(
            max(fmt.bits - 16, 0)
        )
        n += differing(fl.decode(some, fmt), device.down(fl.decode(device.up(some), fmt)))
        results += given.size + some.size
        if n:
            wrong.append([fmt.name, n])
    say(formats=len(fl.formats()), results=results, formats_that_differ=len(wrong), first=wrong[:5])


def words(device: Device, say: Say, until: float) -> None:
    """The words of PCG64, and what stochastic rounding makes of them."""
    here, there = np.random.default_rng(11), np.random.default_rng(11)
    wrong = results = 0
    for size in (1, 5, 65_535, 65_537, device.size(24, 17)):
        drawn = device.down(random_words(there, size, device.xp))
        wrong += differing(here.integers(0, 2**64 - 1, size, np.uint64, endpoint=True), drawn)
        results += size
    same_state = here.bit_generator.state == there.bit_generator.state
    x = np.random.default_rng(2).standard_normal(device.size(22, 12)).astype(np.float32)
    for bits, mode in itertools.product((1, 16, 23, 40), ("stochastic", "stochastic_b", "stochastic_c")):
        result = fl.quantize(device.up(x), "e4m3", rounding=mode, rng=there, random_bits=bits)
        expected = fl.quantize(x, "e4m3", rounding=mode, rng=here, random_bits=bits)
        wrong += differing(expected, device.down(result))
        results += x.size
    say(results=results, differing=wrong, same_state_after=same_state)


def operations(device: Device, say: Say, until: float) -> None:
    """Arithmetic on pairs of random numbers of each format, subnormals among them."""
    rng = np.random.default_rng(5)
    wrong, results = [], 0
    for name in ("fp32", "tf32", "bf16", "fp16", "e5m2", "e4m3", "fp4", "fp64"):
        fmt = fl.get_format(name)
        a, b = (
            fl.decode(
                rng.integers(0, 1 << fmt.bits, device.size(20, 10), np.uint64).astype(fmt.code_dtype), fmt
            )
            for _ in range(2)
        )
        if not fmt.has_nan:
            a, b = without_nan(a, fmt), without_nan(b, fmt)
        for operation, mode in itertools.product(
            ("add", "subtract", "multiply", "divide", "sqrt"), ("nearest_even", "toward_negative", "to_odd")
        ):
            if time.time() > until:
                break
            given = (a,) if operation == "sqrt" else (a, b)
            function = getattr(fl, operation)
            try:
                with np.errstate(all="ignore"):
                    expected = function(*given, fmt, rounding=mode)
            except FloatlabError:  # a NaN in a format without one
                continue
            n = differing(expected, device.down(function(*map(device.up, given), fmt, rounding=mode)))
            results += a.size
            if n:
                wrong.append([name, operation, mode, n])
    say(results=results, operations_that_differ=len(wrong), first=wrong[:5])


def functions(device: Device, say: Say, until: float) -> None:
    """Elementary functions of random codes of each format."""
    rng = np.random.default_rng(6)
    wrong, results = [], 0
    for name, function in itertools.product(
        ("bf16", "fp16", "e4m3", "fp32"), ("exp", "log", "tanh", "sigmoid", "sin", "erf", "gelu", "rsqrt")
    ):
        if time.time() > until:
            break
        fmt = fl.get_format(name)
        x = fl.decode(
            rng.integers(0, 1 << fmt.bits, device.size(18, 9), np.uint64).astype(fmt.code_dtype), fmt
        )
        with np.errstate(all="ignore"):
            expected = getattr(fl, function)(x, fmt)
        n = differing(expected, device.down(getattr(fl, function)(device.up(x), fmt)))
        results += x.size
        if n:
            wrong.append([name, function, n])
    say(results=results, functions_that_differ=len(wrong), first=wrong[:5])


def products(device: Device, say: Say, until: float) -> None:
    """Products of matrices and sums, with sums as exact as can be, and with accumulators of a format."""
    rng = np.random.default_rng(7)
    wrong, results = [], 0
    side = 384 if device.real else 48
    for name, accumulator in itertools.product(
        ("fp16", "bf16", "e4m3", "fp32"), (None, "exact", "fp32", "fp16")
    ):
        if time.time() > until:
            break
        options = {} if accumulator is None else {"accumulator": accumulator}
        short = side if accumulator in (None, "exact") else side // 4
        a = fl.quantize(rng.standard_normal((short, 2 * short)).astype(np.float32), name)
        b = fl.quantize(rng.standard_normal((2 * short, short)).astype(np.float32), name)
        for result, expected in (
            (fl.matmul(device.up(a), device.up(b), name, **options), fl.matmul(a, b, name, **options)),
            (fl.sum(device.up(a), name, axis=0, **options), fl.sum(a, name, axis=0, **options)),
        ):
            n = differing(expected, device.down(result))
            results += expected.size
            if n:
                wrong.append([name, accumulator, n])
    say(results=results, products_that_differ=len(wrong), first=wrong[:5])


def bandwidth(device: Device, say: Say, until: float) -> None:
    """Rounding as a share of the speed of a copy on the device, the fastest of seven, taking turns."""
    xp, size = device.xp, device.size(28, 16)
    rng = np.random.default_rng(1)
    x = xp.tile(device.up(rng.standard_normal(1 << 16).astype(np.float32)), size >> 16)
    out = xp.empty_like(x)
    integers = xp.tile(device.up(rng.integers(0, 1 << 16, 1 << 16).astype(np.uint16)), size >> 16)

    def seconds(function: Callable[[], object]) -> float:
        device.wait()
        began = time.perf_counter()
        function()
        device.wait()
        return time.perf_counter() - began

    cases = itertools.product(("fp16", "bf16", "tf32", "e4m3", "e5m2", "fp4"), MODES)
    for fmt, mode in cases:
        if fmt not in ("fp16", "e4m3") and mode not in ("nearest_even", "toward_zero", "stochastic"):
            continue
        extra = {"random_integers": integers} if draws(mode) else {}
        rule = fl.get_format(fmt)

        def run(rule: Any = rule, mode: str = mode, extra: dict[str, Any] = extra) -> None:
            fl.quantize(x, rule, rounding=mode, out=out, **extra)

        began = time.perf_counter()
        run()
        device.wait()
        first = time.perf_counter() - began
        times = [(seconds(lambda: xp.copyto(out, x)), seconds(run)) for _ in range(7)]
        copy, quantize = (min(column) for column in zip(*times, strict=True))
        say(
            format=fmt,
            mode=mode,
            share_of_copy=round(copy / quantize, 3),
            copy_GB_per_s=round(8 * size / copy / 1e9),
            first_call_seconds=round(first, 3),
        )


SECTIONS = (environment, bandwidth, words, codes, products, functions, operations, wide, modes, exhaustive)
SHARES = {
    "modes": 0.5,
    "wide": 0.1,
    "operations": 0.08,
    "functions": 0.06,
    "products": 0.06,
}  # of the time that is left


def main() -> None:
    """Run the sections that are not there yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="proof", help="where the findings go")
    parser.add_argument("--seconds", type=float, default=500.0, help="how long the whole may take")
    parser.add_argument("--only", default="", help="sections, separated by commas")
    parser.add_argument("--dry-run", action="store_true", help="without a GPU, on the tests' stand-in")
    arguments = parser.parse_args()
    path = Path(arguments.out) / "proof.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = (
        {json.loads(line)["done"] for line in path.read_text().splitlines() if '"done"' in line}
        if path.exists()
        else set()
    )
    end = time.time() + arguments.seconds
    if arguments.dry_run:
        sys.path.insert(0, str(HERE.parent / "tests"))
        from device.module import installed  # type: ignore[import-not-found]

        context: Any = installed()
    else:
        import cupy

        context = nullcontext(cupy)
    with context as xp, path.open("a") as log:
        device = Device(xp, not arguments.dry_run)
        for section in SECTIONS:
            name = section.__name__
            if name in done or (arguments.only and name not in arguments.only.split(",")):
                continue

            def say(name: str = name, **found: Any) -> None:
                line = json.dumps({"section": name, **found})
                print(line, flush=True)
                log.write(line + "\n")
                log.flush()

            began = time.time()
            try:
                section(device, say, began + SHARES.get(name, 1.0) * (end - began))
            except Exception as error:  # the others may still be right
                say(error=f"{type(error).__name__}: {error}"[:600])
                continue
            say(done=name, seconds=round(time.time() - began, 1))


if __name__ == "__main__":
    main()
