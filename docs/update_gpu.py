"""Put what ``benchmarks/gpu_proof.py`` found on its page.

python docs/update_gpu.py proof/proof.jsonl
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

START, END = "<!-- gpu report: start -->", "<!-- gpu report: end -->"
Found = dict[str, Any]


def report(lines: list[Found], day: str) -> str:
    """Return the findings as Markdown."""
    by: dict[str, list[Found]] = defaultdict(list)
    for line in lines:
        if "done" not in line:
            by[line["section"]].append(line)
    machine = by["environment"][0]
    if "cupy" not in machine:
        raise SystemExit(
            "This was a dry run, which says nothing of a GPU. Run benchmarks/gpu_proof.py on one."
        )
    flushed = ("cupy_product_flushes", "cupy_cast_flushes", "cupy_comparison_flushes")
    parts = [
        f"{machine['device']}, {day}; CuPy {machine['cupy']}, NumPy {machine['numpy']}, {machine['cores']} cores "
        f"beside it. CuPy's float32 products, casts and comparisons flush: {all(machine[name] for name in flushed)}.",
        "\n".join(["| tried | results | differing |", "|---|---|---|", *_counts(by)]),
    ]
    if by["bandwidth"]:
        shares = [line["share_of_copy"] for line in by["bandwidth"]]
        parts.append(
            f"Rounding 2^28 float32 numbers, as a share of the speed of a copy on the device "
            f"({max(line['copy_GB_per_s'] for line in by['bandwidth']):,} GB/s, read and written): "
            f"{min(shares):.2f} to {max(shares):.2f}.\n\n" + _speeds(by["bandwidth"])
        )
    errors = [f"- {line['section']}: {line['error']}" for line in lines if "error" in line]
    if errors:
        parts.append("Sections that ended with an error:\n\n" + "\n".join(errors))
    return "\n\n".join(parts)


def _counts(by: dict[str, list[Found]]) -> list[str]:
    rows: list[tuple[str, int, int]] = []
    whole = [line for line in by["exhaustive"] if line["inputs"] == line["of"]]
    if whole:
        tried = f"all 2^32 float32 numbers to nearest even, for {len(whole)} formats"
        rows.append((tried, sum(line["inputs"] for line in whole), sum(line["differing"] for line in whole)))
    for line in by["modes"]:
        if "conversions" in line:
            each = f"{line['inputs_each']:,} float32 numbers"
            tried = f"{each} in {line['conversions']} conversions (format, mode, policy)"
            rows.append((tried, line["conversions"] * line["inputs_each"], line["conversions_that_differ"]))
    for section, tried, wrong in (
        (
            "wide",
            "float64 numbers, and all float16 numbers, in every format and mode",
            "conversions_that_differ",
        ),
        ("codes", "codes made and read", "formats_that_differ"),
        ("words", "words of PCG64, and stochastic roundings with them", "differing"),
        ("operations", "operations on random pairs", "operations_that_differ"),
        ("functions", "elementary functions", "functions_that_differ"),
        ("products", "products of matrices", "products_that_differ"),
    ):
        rows += [(tried, line["results"], line[wrong]) for line in by[section] if "results" in line]
    return [f"| {tried} | {results:,} | {wrong} |" for tried, results, wrong in rows]


def _speeds(lines: list[Found]) -> str:
    formats = list(dict.fromkeys(line["format"] for line in lines))
    modes = list(dict.fromkeys(line["mode"] for line in lines))
    share = {(line["format"], line["mode"]): f"{line['share_of_copy']:.2f}" for line in lines}
    head = ["| mode | " + " | ".join(formats) + " |", "|---" * (len(formats) + 1) + "|"]
    return "\n".join(
        head
        + [
            f"| {mode} | " + " | ".join(share.get((fmt, mode), "") for fmt in formats) + " |"
            for mode in modes
        ]
    )


def main() -> None:
    """Replace what stands between the two marks in docs/gpu.md."""
    found, page = Path(sys.argv[1]), Path(__file__).parent / "gpu.md"
    lines = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    day = datetime.fromtimestamp(found.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    text = page.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    page.write_text(f"{before}{START}\n{report(lines, day)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
