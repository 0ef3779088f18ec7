"""Block formats beside an oracle, torchao and gfloat: how many blocks differ, and how long they take.

    python benchmarks/blocks.py                     what is on the page: results/blocks.json, docs/block-formats.md
    python benchmarks/blocks.py --blocks 1000000    the long comparison: so many blocks of each element and rule
    python benchmarks/blocks.py --times             times alone, on a quiet machine; the comparisons stay

torchao and gfloat are compared where they are installed. Times are of one thread, the least of several runs that take
turns, as ratios to `floatlab.quantize` to the format of the elements on the same numbers.
"""

# ruff: noqa: E402 - the number of threads is set before NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import importlib
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "block_formats"))
oracle = importlib.import_module("block_oracle")

_MARKED = re.compile(r"(<!-- results: blocks -->\n).*?(<!-- end of results -->)", re.DOTALL)
_SIZE = 1 << 22


def blocks(rng: np.random.Generator, element: str, n: int) -> Any:
    """Return float32 blocks: sizes over the whole range, some at and beside the thresholds of rules, zeros."""
    x = rng.standard_normal((n, 32), np.float32) * np.exp2(rng.integers(-4, 5, (n, 32)).astype(np.float32))
    top = np.exp2(rng.integers(-140, 119, n)).astype(np.float32) * (1 + rng.random(n, np.float32))
    largest = np.float32(oracle.magnitudes(element)[-1])
    marks = rng.integers(0, 6, n)
    edges = np.stack([top, largest * np.exp2(np.floor(np.log2(top)) - 8), *([top] * 4)])[marks, np.arange(n)]
    steps = np.nextafter(edges, np.float32(np.inf), dtype=np.float32)
    top = np.where(rng.random(n) < 0.3, steps, edges).astype(np.float32)
    x *= (top / np.abs(x).max(axis=1))[:, None]
    x[rng.random((n, 32)) < 0.01] = 0
    x[np.arange(n), rng.integers(0, 32, n)] = top
    return x


def beside_the_oracle(count: int) -> dict[str, int]:
    """Compare so many blocks of each element and rule; return how many there were, and how many differ."""
    compared = differing = 0
    rng = np.random.default_rng(20)
    for element, name in oracle.NAMES.items():
        for rule in oracle.RULES:
            for start in range(0, count, 1 << 14):
                x = blocks(rng, element, min(1 << 14, count - start))
                scales, values = oracle.blocks_in_float64(x, element, rule)
                found = fl.encode(x, name, rule=rule)
                wrong = (found.scales[:, 0] != scales) | (found.decode(np.float64) != values).any(axis=1)
                wrong |= (fl.quantize(x, name, rule=rule) != values).any(axis=1)  # which has a way of its own
                compared, differing = compared + len(x), differing + int(np.count_nonzero(wrong))
            print(f"{name:12} {rule:8} {compared:>12,} blocks, {differing} differ", flush=True)
    return {"compared": compared, "differing": differing}


def beside_torchao(count: int) -> dict[str, Any]:
    """Compare with torchao's eager code: four rules, five elements.

    Blocks with a scale of 2^-127 are left out: release 0.18 divides by another one there. Its "rceil" takes a logarithm
    in float32, which does not see how far a number lies above the largest value times a power of two; blocks whose
    largest number is so near are counted by themselves.
    """
    import torch
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import to_mx

    types = {
        "e4m3": torch.float8_e4m3fn,
        "e5m2": torch.float8_e5m2,
        "e2m3": "fp6_e2m3",
        "e3m2": "fp6_e3m2",
        "e2m1": torch.float4_e2m1fn_x2,
    }
    found: dict[str, Any] = {"compared": 0, "differing": 0, "left_out": 0, "by_its_logarithm": 0}
    rng = np.random.default_rng(21)
    for element, kind in types.items():
        for rule in ("floor", "ceil", "even", "rceil"):
            x = blocks(rng, element, count)
            scales, data = to_mx(torch.from_numpy(x), kind, 32, ScaleCalculationMode(rule))
            ours = fl.encode(x, oracle.NAMES[element], rule=rule)
            codes = data.view(torch.uint8).numpy().reshape(count, -1)
            packed = ours.packed() if element == "e2m1" else ours.codes
            kept = ours.scales[:, 0] > 0
            wrong = scales.view(torch.uint8).numpy().reshape(-1) != ours.scales[:, 0]
            wrong = (wrong | (codes != packed).any(axis=1)) & kept
            largest = float(oracle.magnitudes(element)[-1])
            share = np.frexp(np.abs(x.astype(np.float64)).max(axis=1) / largest)[0]  # from 1/2 to 1
            near = wrong & (rule == "rceil") & (share > 0.5) & (share < 0.5 * (1 + 2.0**-16))
            found["compared"] += int(np.count_nonzero(kept))
            found["left_out"] += int(np.count_nonzero(~kept))
            found["by_its_logarithm"] += int(np.count_nonzero(near))
            found["differing"] += int(np.count_nonzero(wrong & ~near))
    lost = torch.zeros(1, 32)
    lost[0, 0] = torch.inf
    codes = {
        rule: to_mx(lost, types["e4m3"], 32, ScaleCalculationMode(rule))[0] for rule in ("floor", "rceil")
    }
    found["infinity"] = {rule: int(code.view(torch.uint8).item()) - 127 for rule, code in codes.items()}
    return found


def beside_gfloat(count: int) -> dict[str, int]:
    """Compare values with gfloat's blocks, whose scale is OCP's."""
    import gfloat
    from gfloat import formats as known

    names = {
        "e4m3": known.format_info_mxfp8_e4m3,
        "e5m2": known.format_info_mxfp8_e5m2,
        "e2m3": known.format_info_mxfp6_e2m3,
        "e3m2": known.format_info_mxfp6_e3m2,
        "e2m1": known.format_info_mxfp4_e2m1,
        "int8": known.format_info_mxint8,
    }
    compared = differing = 0
    rng = np.random.default_rng(22)
    for element, info in names.items():
        x = blocks(rng, element, count).astype(np.float64)
        ours = fl.quantize(x, oracle.NAMES[element])
        for block, values in zip(x, ours, strict=True):
            theirs = gfloat.quantize_block(info, block, gfloat.compute_scale_amax)
            compared += 1
            differing += not np.array_equal(np.asarray(theirs), values)
    return {"compared": compared, "differing": differing}


def timed(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return nanoseconds of processor time a number, the least of rounds that take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return {name: seconds / _SIZE * 1e9 for name, seconds in best.items()}


def speed(rounds: int) -> list[dict[str, Any]]:
    """Time values to values, and, beside torchao, values to codes."""
    x = np.random.default_rng(0).standard_normal(_SIZE, np.float32)
    rows = []
    for element, name, wanted in (
        ("e4m3", "mxfp8_e4m3", 3.0),
        ("e2m1", "mxfp4", 3.0),
        ("e2m1", "nvfp4", 4.0),
    ):
        calls = {"element": lambda e=element: fl.quantize(x, e), "blocks": lambda n=name: fl.quantize(x, n)}
        times = timed(calls, rounds)
        ratio = times["blocks"] / times["element"]
        rows.append(
            {"work": f"`{name}`, values to values", "beside": f"`quantize` to {element}", "ratio": ratio}
        )
        print(f"{name}: {ratio:.2f} times quantize to {element} (wanted {wanted})", times, flush=True)
    if importlib.util.find_spec("torchao"):
        import torch
        from torchao.prototype.mx_formats.mx_tensor import to_mx

        torch.set_num_threads(1)
        t = torch.from_numpy(x)
        for name, kind in (("mxfp8_e4m3", torch.float8_e4m3fn), ("mxfp4", torch.float4_e2m1fn_x2)):

            def ours(name: str = name) -> object:
                return fl.encode(x, name).packed()

            calls = {"ours": ours, "torchao": lambda kind=kind: to_mx(t, kind, 32)}
            times = timed(calls, rounds)
            ratio = times["ours"] / times["torchao"]
            rows.append(
                {"work": f"`{name}`, values to packed codes", "beside": "torchao, eager", "ratio": ratio}
            )
            print(f"{name} to codes: {ratio:.2f} times torchao", times, flush=True)
    return rows


def page_of(record: dict[str, Any]) -> str:
    """Return the lines of the page."""
    lines = ["", "| blocks compared with | compared | different |", "|---|---|---|"]
    names = {"oracle": "the second oracle", "torchao": "torchao", "gfloat": "gfloat"}
    for key, name in names.items():
        if key in record:
            lines.append(
                f"| {name} {record['versions'].get(key, '')}".rstrip()
                + f" | {record[key]['compared']:,} | {record[key]['differing']:,} |"
            )
    if "torchao" in record:
        it, version = record["torchao"], record["versions"]["torchao"]
        scales = it["infinity"]
        lines += [
            "",
            f"Beside torchao {version} {it['by_its_logarithm']:,} blocks are not called different whose largest number",
            "lies less than 2^-16 above the largest value times a power of two: its eager `rceil`, a logarithm in",
            f"float32, is one exponent too low there. {it['left_out']:,} with a scale of 2^-127 are left out. A block",
            "with an infinity saturates there, and gets the scale",
            f"2^{scales['floor']} by `floor`, 2^{scales['rceil']} by `rceil`.",
        ]
    lines += ["", "| 4 million float32 numbers, one thread | beside | time, as a multiple |", "|---|---|---|"]
    lines += [f"| {row['work']} | {row['beside']} | {row['ratio']:.2f} |" for row in record["speed"]]
    return "\n".join([*lines, ""]) + "\n"


def put_into(page: str, record: dict[str, Any]) -> str:
    """Return the page with the results of a record."""
    return _MARKED.sub(lambda found: found[1] + page_of(record) + found[2], page)


def compared(count: int) -> dict[str, Any]:
    """Compare with the oracle, and with the libraries that are installed."""
    record: dict[str, Any] = {"oracle": beside_the_oracle(count), "versions": {}}
    for name, compare, blocks_of_each in (
        ("torchao", beside_torchao, 20_000),
        ("gfloat", beside_gfloat, 500),
    ):
        if importlib.util.find_spec(name):
            record[name] = compare(blocks_of_each)
            record["versions"][name] = metadata.version(name)
            print(name, record[name], flush=True)
    return record


def main() -> None:
    """Compare, time, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--blocks", type=int, default=100_000, help="of each element and rule, beside the oracle"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--times", action="store_true", help="take times alone; what was compared before stays"
    )
    asked = parser.parse_args()
    path = ROOT / "benchmarks" / "results" / "blocks.json"
    record = json.loads(path.read_text(encoding="utf-8")) if asked.times else compared(asked.blocks)
    record["speed"] = speed(asked.rounds)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    page = ROOT / "docs" / "block-formats.md"
    page.write_text(put_into(page.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main()
