"""How fast is the numeric core? floatlab beside every peer that is installed, in one run, on one thread.

    python benchmarks/numeric.py                 all of it: some six minutes; writes docs/performance.md
    python benchmarks/numeric.py --only codes    this table alone; writes nothing
    python benchmarks/numeric.py --quick         small arrays and two rounds, to see that it works; writes nothing
    python benchmarks/numeric.py --page          the page again, from the results of the last run

The contenders of a case take turns, round after round, so that whatever slows the machine down slows all of them;
what counts is each one's fastest round. Before that the results of all are compared with floatlab's, bit for bit.
`cases.py` says what is timed, `peers.py` how each peer is asked, `agreement.py` compares, `page.py` writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tracemalloc
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agreement import Difference, difference
from cases import COPY, GROUPS, QUICK, Case, Sizes
from machine import machine
from page import Timing, opening, put_into
from peers import ONE_THREAD, Contender, skip, versions

from floatlab.system.timing import take_turns

HERE = Path(__file__).parent
ROUNDS = 16


@dataclass
class Check:
    """What came of comparing the contenders: how some differ, what some raised, and who is left to be timed."""

    differs: dict[str, Difference] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    sound: dict[str, Contender] = field(default_factory=dict)


def check(case: Case) -> Check:
    """Compare the results of all contenders with floatlab's."""
    own, found = case.contenders["floatlab"], Check()
    accepted = case.accepted() if case.accepted else [own.result(own.call())]
    for who, contender in case.contenders.items():
        try:
            made = contender.call()
            simpler = who == COPY or who.startswith("floatlab, ")  # these do something else, and say so
            differs = None if simpler else difference(accepted, contender.result(made), case.x, case.fmt)
        except Exception as error:  # a peer may raise anything; which one is the answer
            found.failed[who] = type(error).__name__
            continue
        found.sound[who] = contender
        if differs is not None:
            found.differs[who] = differs
    if "floatlab" in found.differs or "floatlab" in found.failed:
        raise AssertionError(f"floatlab's own results are wrong in {case.group}, {case.name}: {found}")
    return found


def measure(case: Case, rounds: int) -> Timing:
    """Compare, then let the contenders take turns, and keep the fastest round of each."""
    found = check(case)
    seconds = take_turns({who: contender.call for who, contender in found.sound.items()}, rounds)
    return Timing(
        case.group,
        case.name,
        case.size,
        case.base,
        {who: taken * found.sound[who].part for who, taken in seconds.items()},
        {who: asdict(differs) for who, differs in found.differs.items()},
        found.failed,
        _extra_memory(case.contenders["floatlab"]) if case.group == "rounding" else 0,
    )


def _extra_memory(contender: Contender) -> int:
    """Return the bytes that a call holds at its peak and gives back; its result is not among them."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = contender.call()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return max(0, peak - max(kept, before))


def show(timing: Timing, console: Any) -> None:
    """Print one row as it is measured."""
    others = [
        f"{who} {timing.ratio(who, 'floatlab'):.2f}×{' ≠' * (who in timing.differs)}"
        for who in timing.seconds
        if who not in (timing.base, "floatlab")
    ]
    own = timing.ratio("floatlab", timing.base)
    console.print(f"{timing.name:38} {own:8.2f}× {timing.base}   {', '.join(others)}", highlight=False)


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small arrays, two rounds; writes nothing")
    parser.add_argument("--only", choices=GROUPS, action="append", help="only this table; writes nothing")
    parser.add_argument("--without", action="append", default=[], help="a peer's module that is left out")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of each contender: {ROUNDS}")
    parser.add_argument("--to", type=Path, help="write numeric.json to this folder, and no page")
    parser.add_argument(
        "--page", action="store_true", help="write the page from the last results; time nothing"
    )
    return parser.parse_args()


def main() -> None:
    from rich.console import Console

    if not ONE_THREAD.items() <= os.environ.items():  # the libraries look when they are loaded: begin again
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)
    chosen, console = parsed(), Console(width=240)
    results, page = HERE / "results" / "numeric.json", HERE.parent / "docs" / "performance.md"
    if not chosen.page:
        skip(chosen.without)
        sizes, rounds = (QUICK, 2) if chosen.quick else (Sizes(), chosen.rounds)
        timings: list[Timing] = []
        about = machine() | versions()
        for group in chosen.only or GROUPS:
            console.rule(group)
            for case in GROUPS[group](sizes):
                timings.append(measure(case, rounds))
                show(timings[-1], console)
        record = {"about": about, "timings": [asdict(timing) for timing in timings]}
        console.print(opening(record), highlight=False, markup=False)
        if chosen.to:
            results = chosen.to / "numeric.json"
        elif chosen.quick or chosen.only:
            return
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if not chosen.to:
        record = json.loads(results.read_text(encoding="utf-8"))
        page.write_text(put_into(page.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main()
