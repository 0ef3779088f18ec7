"""Write docs/verdicts.md: how often the experiments' predictions came true where nobody had looked before.

python docs/make_verdicts.py                about 40 minutes of one core; goes on where it was interrupted

The settings are drawn by `floatlab.experiments.harness.neighbours`, the seeds are those below: no rule was made on
them. The page is written anew after every part, with what is finished by then, and nothing is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floatlab.experiments import registry
from floatlab.experiments.harness.criterion import CRITERION
from floatlab.experiments.harness.neighbours import changes, neighbourhood
from floatlab.system import provenance

DOCS = Path(__file__).parent
SEEDS = (11, 12, 13)
NEIGHBOURS, DRAW, NEIGHBOURS_SEED = 4, 1, 14

Record = dict[str, Any]
Part = list[tuple[str, Record]]  # a setting in words, and its record

INTRODUCTION = """# Do the predictions come true?

This page is written by `python docs/make_verdicts.py`, and shows its results as they are.

Every experiment of `floatlab run` says first which of its runs will fail, from fp32 and from the fields of the formats.
The rules were made on the seeds 0 to 4 (each file says on which). Here they meet seeds that they have never seen, and
settings beside the listed ones: other learning rates, batches, scales, loss weights and formats, drawn at random within
the reach that each experiment states in `vary`.

{criterion}

What each run itself has done is measured in it: the share of gradients, updates or moments that were lost in its first
step stands beside the predicted one in the records (`floatlab run NAME --seeds 3,4,5`). Single settings beside the
listed ones: `floatlab run NAME --neighbours 4 --neighbour-seed 1`.
"""


def main() -> None:
    """Do the runs, and write the page after each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=0, help="processes side by side; 0: one for each core")
    parser.add_argument(
        "--out", type=Path, default=DOCS / "_build" / "verdicts", help="folder for the records"
    )
    args = parser.parse_args()
    listed: dict[str, Part] = {name: [] for name in registry.names()}
    beside: dict[str, Part] = {name: [] for name in registry.names()}
    for name in registry.names():
        experiment = registry.get(name)
        drawn = neighbourhood(experiment, NEIGHBOURS, DRAW)
        found = registry.run(drawn, [NEIGHBOURS_SEED], jobs=args.jobs, out=args.out / f"{name}-neighbours")
        texts = [f"{run.run}: {changes(run, experiment.runs)}" for run in drawn.runs]
        beside[name] = list(zip(texts, found, strict=True))
        write(listed, beside)
    for seed in SEEDS:
        for name in registry.names():
            found = registry.run(name, [seed], jobs=args.jobs, out=args.out / f"{name}-{seed}")
            listed[name] += [(f"{record['run']}, seed {seed}", record) for record in found]
            write(listed, beside)


def write(listed: dict[str, Part], beside: dict[str, Part]) -> None:
    """Write the page with what is finished."""
    parts = [INTRODUCTION.format(criterion=CRITERION), _table(listed, beside)]
    silent = [
        f"- *{name}*, {text}"
        for found in (listed, beside)
        for name, part in found.items()
        for text, record in part
        if record["failed"] is None
    ]
    if silent:
        parts.append("## Without an answer: fp32 itself gets nowhere\n\n" + "\n".join(silent) + "\n")
    for title, found in (("listed settings", listed), ("neighbours", beside)):
        wrong = [(name, *one) for name, part in found.items() for one in part if not _right(one[1])]
        if wrong:
            lines = [f"- *{name}*, {text}: {_said(record)}" for name, text, record in wrong]
            parts.append(f"## Wrong verdicts: {title}\n\n" + "\n".join(lines) + "\n")
    drawn = [(name, *one) for name, part in beside.items() for one in part]
    lines = [f"- *{name}*, {text}: {_said(record)}" for name, text, record in drawn]
    parts.append(
        f"## All neighbours (draw {DRAW}, data of seed {NEIGHBOURS_SEED})\n\n" + "\n".join(lines) + "\n"
    )
    source = provenance.fingerprint(provenance.TRAINING)[:12]
    parts.append(f"Source of these runs: fingerprint {source} of the rooms that they depend on.\n")
    (DOCS / "verdicts.md").write_text("\n".join(parts), encoding="utf-8")


def _table(listed: dict[str, Part], beside: dict[str, Part]) -> str:
    lines = [
        f"| experiment | listed settings, seeds {', '.join(map(str, SEEDS))} | neighbours |",
        "|---|---|---|",
    ]
    for name in registry.names():
        wanted = len(registry.get(name).runs) * len(SEEDS)
        lines.append(f"| {name} | {_share(listed[name], wanted)} | {_share(beside[name], NEIGHBOURS)} |")
    every = [[one for part in found.values() for one in part] for found in (listed, beside)]
    totals = [sum(len(registry.get(n).runs) for n in listed) * len(SEEDS), NEIGHBOURS * len(beside)]
    cells = " | ".join(f"**{_share(part, total)}**" for part, total in zip(every, totals, strict=True))
    return "\n".join([*lines, f"| **all** | {cells} |", ""])


def _share(part: Sequence[tuple[str, Record]], wanted: int) -> str:
    """Return how many verdicts were right, and how many runs are missing."""
    missing = wanted - len(part)
    if not part:
        return f"not run ({wanted})"
    answered = [record for _, record in part if record["failed"] is not None]
    silent = len(part) - len(answered)
    right = sum(map(_right, answered))
    share = f"{right} of {len(answered)} right ({right / len(answered):.0%})" if answered else "none"
    return (
        share
        + (f"; {silent} without an answer" if silent else "")
        + (f"; {missing} not run" if missing else "")
    )


def _right(record: Record) -> bool:
    return record["failed"] is None or bool(record["predicted_failure"] == record["failed"])


def _said(record: Record) -> str:
    words = ["fails" if record["predicted_failure"] else "learns", _word(record["failed"])]
    found = "no number" if record["progress"] is None else f"{record['progress']:.2f} of the way"
    shares = f"share {record['expected']:.2f} / {record['found']:.2f}"
    return f"predicted: {words[0]}, came out: {words[1]} ({found}; {shares})"


def _word(failed: bool | None) -> str:
    if failed is None:
        return "no answer"
    return "fails" if failed else "learns"


if __name__ == "__main__":
    main()
