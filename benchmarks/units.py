"""How much longer do matrix units take than float64? Products and training steps, as ratios within one run.

    python benchmarks/units.py              all of it: about two minutes; writes results/units.json
    python benchmarks/units.py --quick      two rounds, for a first look; writes nothing

- A product of 512 x 512 x 512 on `h100` (fp16, bf16, fp8) and `v100`, beside NumPy's float64 product.
- The fp16 step of the digits' perceptron and of 784-512-512-10, batch 128, beside the same step in wide arithmetic.
- One multiply-add beside `dpa` of mmasim (github.com/microsoft/MMA-Sim) where that is installed.

Contenders take turns, and the fastest round of each counts. All of it runs twice, in processes of their own that take
turns too: with one BLAS thread, and with as many as the BLAS takes by itself. Before anything is timed a part of each
product is compared with the readable version, block by block, and with mmasim.

Figures of a busy machine are worth little: results are written only if its load was below 2.5 before each process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import floatlab as fl
from floatlab.matrix_units.instruction import Instruction

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "units.json"
SIZE, BUSY = 512, 2.5
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PRODUCTS = (("h100", "fp16", 25), ("h100", "bf16", 25), ("h100", "e4m3", 25), ("v100", "fp16", 35))
STEPS = (  # widths, batch, and what is wanted of h100 and v100
    ("digits, 64-64-64-64-10, batch 64", (64, 64, 64, 64, 10), 64, {"h100": 4, "v100": 4}),
    ("784-512-512-10, batch 128", (784, 512, 512, 10), 128, {"h100": 10, "v100": 12}),
)
PEER = "a multiply-add of mmasim's dpa"

Calls = dict[str, Callable[[], object]]


def operands(fmt: str, size: int = SIZE) -> tuple[Any, Any]:
    """Return two matrices of values of a format."""
    rng = np.random.default_rng(0)
    a, b = (fl.quantize(rng.standard_normal((size, size)), fmt, overflow="saturate") for _ in range(2))
    return a, b


def compare(unit: str, fmt: str) -> None:
    """Stop where a product is not what the readable version gives on some of its rows and columns."""
    a, b = operands(fmt)
    found = fl.matmul(a, b, "fp32", unit=unit, formats=(fmt, fmt))[:8, :8]
    own = fl.get_format(fmt)
    how = fl.get_unit(unit).instruction(own, own)
    wide = a[:8].astype(np.float64), b[:, :8].astype(np.float64)
    slow = Instruction.chain(how, *wide, np.zeros((8, 8)), (own, own))
    assert np.array_equal(found, slow), f"{unit}, {fmt}: another result than the readable version's"


def products() -> Calls:
    """Return the products, and NumPy's."""
    a, b = (x.astype(np.float64) for x in operands("fp16"))
    calls: Calls = {"NumPy float64": lambda: a @ b}
    for unit, fmt, _ in PRODUCTS:
        x, y = operands(fmt)

        def call(x: Any = x, y: Any = y, unit: str = unit, fmt: str = fmt) -> object:
            return fl.matmul(x, y, "fp32", unit=unit, formats=(fmt, fmt))

        calls[f"{unit}, {fmt}"] = call
    return calls


def steps(widths: tuple[int, ...], batch: int) -> Calls:
    """Return a training step under fp16 autocast, in wide arithmetic and on two units."""
    import training  # sets the number of threads for processes to come, not for this one

    rng = np.random.default_rng(1)
    x = fl.Tensor(rng.integers(0, 17, (batch, widths[0])).astype(np.float32) / 16)
    labels = rng.integers(0, widths[-1], batch)

    def on(unit: str | None) -> Callable[[], object]:
        step = training.floatlab_step("fp16", training.fl_mlp(widths), x, labels)

        def run() -> object:
            with fl.arithmetic(unit=unit):
                return step()

        return run

    return {"wide": on(None), "h100": on("h100"), "v100": on("v100")}


def peer() -> tuple[Calls, dict[str, int]]:
    """Return floatlab's product and mmasim's, and how many multiply-adds each does; nothing where it is missing."""
    if not find_spec("mmasim"):
        return {}, {}
    import torch
    from mmasim.nv_ptx.sim import MMA

    torch.set_num_threads(1)
    core = MMA("Hopper", "m16n8k16.f32.f16.f16.f32")
    a, b = operands("fp16")
    count = 1 << 14
    rows = torch.from_numpy(a[:, :16].astype(np.float16)).repeat(count // SIZE, 1)
    columns = torch.from_numpy(b[:16].T.astype(np.float16)).repeat_interleave(count // SIZE, 0)
    start = torch.zeros(count)
    theirs = core.dpa(rows, columns, start).numpy()
    pairs = rows.double().numpy()[:, None, :], columns.double().numpy()[:, :, None]
    ours = fl.matmul(*pairs, "fp32", unit="h100", formats=("fp16", "fp16"))[:, 0, 0]
    assert np.array_equal(ours, theirs), "mmasim has other results"
    calls: Calls = {
        "floatlab": lambda: fl.matmul(a, b, "fp32", unit="h100", formats=("fp16", "fp16")),
        "mmasim": lambda: core.dpa(rows, columns, start),
    }
    return calls, {"floatlab": SIZE**3, "mmasim": count * 16}


def turns(calls: Calls, rounds: int) -> dict[str, float]:
    """Return each call's fastest round, in seconds; a round takes at least five milliseconds.

    Of one thread the processor's time is taken, in which neighbours on the machine have a small part.
    """
    clock = time.process_time if os.environ.get("OPENBLAS_NUM_THREADS") == "1" else time.perf_counter
    repeats = {}
    for name, call in calls.items():
        call()
        start = clock()
        call()
        repeats[name] = max(1, int(5e-3 / (clock() - start)))
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best[name], (clock() - start) / repeats[name])
    return best


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds of all contenders, case by case; those beside mmasim for one multiply-add."""
    for unit, fmt, _ in PRODUCTS:
        compare(unit, fmt)
    found = {f"{SIZE} x {SIZE} x {SIZE}": turns(products(), rounds)}
    for name, widths, batch, _ in STEPS:
        found[name] = turns(steps(widths, batch), rounds)
    calls, counts = peer()
    if calls:
        found[PEER] = {who: s / counts[who] for who, s in turns(calls, rounds).items()}
    return found


def in_process(threads: str | None, rounds: int) -> dict[str, dict[str, float]]:
    """Measure in a process of its own, with so many BLAS threads, or as many as the BLAS takes."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    environment |= dict.fromkeys(THREADS, threads) if threads else {}
    command = [sys.executable, __file__, "--child", "--rounds", str(rounds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def wanted() -> list[tuple[str, str, str, float]]:
    """Return which contender of a case may take how many times as long as which other."""
    of_products = [
        (f"{SIZE} x {SIZE} x {SIZE}", f"{unit}, {fmt}", "NumPy float64", limit)
        for unit, fmt, limit in PRODUCTS
    ]
    of_steps = [(name, unit, "wide", limit) for name, _, _, limits in STEPS for unit, limit in limits.items()]
    return [*of_products, *of_steps, (PEER, "floatlab", "mmasim", 1 / 30)]


def report(one: dict[str, dict[str, float]], default: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return the ratios, with one thread and with the BLAS left alone, and that of both."""
    rows = []
    for case, who, base, limit in wanted():
        if case in one:
            ratio = one[case][who] / one[case][base]
            rows.append(
                {
                    "case": case,
                    "who": who,
                    "base": base,
                    "ratio": ratio,
                    "wanted": limit,
                    "seconds": one[case][who],
                    "ratio, BLAS alone": default[case][who] / default[case][base],
                    "time, BLAS alone over one thread": default[case][who] / one[case][who],
                }
            )
    return rows


def fastest(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the fastest round of several processes."""
    return {
        case: {who: min(run[case][who] for run in runs) for who in contenders}
        for case, contenders in runs[0].items()
    }


def main() -> None:
    """Measure, print, and write the results of a quiet machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    rounds = 2 if asked.quick else asked.rounds
    if asked.child:
        print(json.dumps(measure(rounds)))
        return
    about, loads = machine(), []
    runs: dict[str | None, list[dict[str, dict[str, float]]]] = {"1": [], None: []}
    for _ in range(1 if asked.quick else 2):
        for threads, found in runs.items():
            loads.append(os.getloadavg()[0])
            found.append(in_process(threads, rounds))
    rows = report(fastest(runs["1"]), fastest(runs[None]))
    for row in rows:
        print(
            f"{row['case']:34}{row['who']:14}{row['ratio']:8.3f} x {row['base']:14} wanted {row['wanted']:6.3f}; "
            f"BLAS alone {row['ratio, BLAS alone']:.3f} x, {row['time, BLAS alone over one thread']:.2f} of the time"
        )
    print(f"load before each process: {', '.join(f'{load:.1f}' for load in loads)}")
    if asked.quick or max(loads) > BUSY:
        print("Nothing is written: " + ("a quick look." if asked.quick else "the machine was busy."))
        return
    versions = {"NumPy": np.__version__} | ({"mmasim": version("mmasim")} if find_spec("mmasim") else {})
    record = {"about": about | versions, "loads": loads, "rows": rows}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
