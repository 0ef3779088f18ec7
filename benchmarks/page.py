"""What did a run find? Markdown for docs/performance.md, made of the results alone.

The page has two marked places: what other libraries do faster, which stands first, and the tables. The rest of it is
prose, and has no figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: A ratio nearer to 1 than this is none: it differs by as much from one run to the next.
ALIKE = 1.1
#: The group whose cases are microseconds long.
SMALL = "small calls"
#: Contenders that are no peers: they promise no last bit, and stand in the tables for comparison.
PLAIN = {"numpy.sum", "NumPy float32", "NumPy float64", "PyTorch fp32"}
#: One copy of a float32 took this many nanoseconds on the machine for which the wanted times were set.
COPY_THERE = 0.1625


@dataclass
class Timing:
    """What a case took: seconds of the fastest round of each contender, and how their results compare.

    Attributes
    ----------
    group, name : str
        The table and the row.
    size : int
        Elements.
    base : str
        The contender that is 1.
    seconds : dict
        Of each contender, for the whole of the work.
    differs : dict
        Contender to the fields of a `Difference`: its results are others than floatlab's.
    failed : dict
        Contender to the name of what it raised.
    extra_bytes : int
        What a call of floatlab holds at its peak, without its result.
    """

    group: str
    name: str
    size: int
    base: str
    seconds: dict[str, float]
    differs: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    extra_bytes: int = 0

    def ratio(self, contender: str, to: str) -> float:
        """Return the time of one contender over that of another; NaN if either did not run."""
        return self.seconds.get(contender, np.nan) / self.seconds.get(to, np.nan)

    @property
    def rivals(self) -> list[str]:
        """Everyone but floatlab and the copy."""
        everyone = [*self.seconds, *self.failed]
        return [who for who in everyone if not who.startswith("floatlab") and who != "numpy.copyto"]

    @property
    def peers(self) -> list[str]:
        """The rivals that promise the same results."""
        return [who for who in self.rivals if who not in PLAIN]


def figure(x: float) -> str:
    """Return a ratio with as many digits as it is worth.

    Examples
    --------
    >>> figure(0.01234), figure(1.234), figure(12.34), figure(1234.5), figure(float("nan"))
    ('0.012', '1.23', '12.3', '1,234', '')
    """
    if x < 0.1:
        return f"{x:.2g}"
    return "" if np.isnan(x) else f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:,.0f}"


# -- what is faster ------------------------------------------------------------------------------------------


def faster(timings: list[Timing], equal: bool) -> list[str]:
    """Return a line for each peer that is faster than floatlab, with the same results or with others.

    Who is faster most often comes first. Small calls have a line of their own, the last one.
    """
    lines: list[tuple[int, str]] = []
    small: list[str] = []
    for who in dict.fromkeys(who for timing in timings for who in timing.peers):
        won: dict[str, dict[str, list[float]]] = {}
        for timing in timings:
            ratio = timing.ratio("floatlab", who)
            if ratio > ALIKE and (who not in timing.differs) == equal:
                won.setdefault(timing.group, {}).setdefault(timing.name.split(",")[0], []).append(ratio)
        if calls := won.pop(SMALL, None):
            small.append(f"{who} {_span([ratio for found in calls.values() for ratio in found])}")
        if won:
            said = (
                f"{group}: " + ", ".join(f"{work} {_span(found)}" for work, found in works.items())
                for group, works in won.items()
            )
            lines.append((-sum(map(len, won.values())), f"- **{who}** in " + "; ".join(said)))
    ordered = [line for _, line in sorted(lines, key=lambda counted: counted[0])]
    return ordered + [f"- {SMALL.capitalize()}, up to a thousand elements: {', '.join(small)}"] * bool(small)


def _span(ratios: list[float]) -> str:
    low, high = figure(min(ratios)), figure(max(ratios))
    return f"{low}×" if low == high else f"{low} to {high}×"


def opening(record: dict[str, Any]) -> str:
    """Return what stands first: where another library is faster."""
    timings = [Timing(**fields) for fields in record["timings"]]
    compared = [
        timing.ratio("floatlab", who)
        for timing in timings
        for who in timing.peers
        if who in timing.seconds and who not in timing.differs
    ]
    slower, quicker = sum(r > ALIKE for r in compared), sum(r < 1 / ALIKE for r in compared)
    lines = [
        "**Where another library is faster**, with the same bits, and how many times as long floatlab takes:",
        "",
        *(faster(timings, True) or ["- nowhere in this run."]),
        "",
        f"Of {len(compared)} comparisons with equal results, floatlab is the slower one in {slower}, the faster one "
        f"in {quicker}, and about as fast in the others.",
    ]
    if others := faster(timings, False):
        lines += ["", "Faster, but with [other results](#where-results-differ):", "", *others]
    if any(PLAIN & timing.seconds.keys() for timing in timings):
        lines += [
            "",
            "Plain sums and matrix products, in float32 or float64, are faster than exact and proven ones; "
            "their last bits depend on the machine.",
        ]
    here = record["about"].get("CPFloat") != "not found"
    lines += [
        "",
        "CPFloat, a library in C that fuses all steps into one loop, "
        + (
            "is installed here, but this script does not call it. "
            if here
            else "was not found on this machine. "
        )
        + "It is in no table; it is to be expected ahead of any sequence of NumPy calls in bfloat16, where its loop is "
        "hardly more than a copy.",
    ]
    return "\n".join(lines)


# -- tables --------------------------------------------------------------------------------------------------

#: What stands above a table: its title, and a sentence or two.
TITLES = {
    "rounding": "Rounding to nearest|float32 to float32, by `quantize`, into an array that is there.",
    "modes": "Other rounding modes|Spread numbers. *Nearest even* is floatlab's time over its own for that mode.",
    "stochastic": "Stochastic rounding|Random bits are drawn within the call. Every result has to be a neighbour.",
    "float64 sources": "Float64 sources|Spread numbers with more bits than float32 has, to float64 or float32 values.",
    "codes": "Codes|`encode` from float32, and `decode` to float32. A peer's own short type counts as codes.",
    "flags": "Flags|`quantize` with the five IEEE 754 exceptions of every element. No peer has these.",
    "arithmetic": "Arithmetic|On `FloatArray`, a million standard normal numbers, each result rounded once. Numbers of "
    "bfloat16's *whole range* have products and quotients that are subnormal or too large.",
    "sums": "Exact sums|The exact sum, rounded once. `math.fsum` has lists of Python floats to start from.",
    "products": "Matrix products|*Proven* ones are summed in float64, and each is shown to round as the exact "
    "one does. The others follow an accumulator, step by step.",
    SMALL: "Small calls|fp16; microseconds for a call of floatlab.",
    "two threads": "Two threads|Wall time, spread numbers: how many times as long as with one thread.",
}


def tables(record: dict[str, Any]) -> str:
    """Return the machine, a table for each group, where results differ, and what was wanted."""
    timings = [Timing(**fields) for fields in record["timings"]]
    about = ", ".join(f"{key} {value}" for key, value in record["about"].items())
    lines = [f"Measured with: {about}; one thread for everyone.", ""]
    for group in dict.fromkeys(timing.group for timing in timings):
        title, _, text = TITLES[group].partition("|")
        lines += [f"### {title}", "", text, ""]
        lines += [*_table([timing for timing in timings if timing.group == group]), ""]
    lines += ["### Where results differ", "", *_differences(timings), ""]
    lines += ["### Targets", "", TARGETS, "", *_targets(timings)]
    return "\n".join(lines)


def _table(timings: list[Timing]) -> Iterator[str]:
    base, small = timings[0].base, timings[0].group == SMALL
    own = [who for who in timings[0].seconds if who.startswith("floatlab, ") and who != base]
    rivals = [who for who in dict.fromkeys(who for t in timings for who in t.rivals) if who != base]
    first = "floatlab, µs" if small else f"floatlab / {base.removeprefix('floatlab, ')}"
    head = [first, *(who.removeprefix("floatlab, ") for who in own), *rivals]
    yield "| | " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * len(head)
    for timing in timings:
        lead = timing.seconds["floatlab"] * 1e6 if small else timing.ratio("floatlab", base)
        mark = " ≠" if base in timing.differs else ""
        cells = [figure(lead) + mark, *(figure(timing.ratio(who, "floatlab")) for who in own)]
        cells += [_cell(timing, who) for who in rivals]
        yield f"| {timing.name} | " + " | ".join(cells) + " |"


def _cell(timing: Timing, who: str) -> str:
    if who in timing.failed:
        return "fails"
    ratio = timing.ratio(who, "floatlab")
    if who in timing.differs:
        return f"{figure(ratio)} ≠"
    ahead = ratio < 1 / ALIKE and who not in PLAIN
    return f"**{figure(ratio)}**" if ahead else figure(ratio)


def _differences(timings: list[Timing]) -> Iterator[str]:
    """Yield a row for each contender and group in which its results are not floatlab's."""
    found: dict[str, dict[str, list[tuple[str, Any]]]] = {}
    for timing in timings:
        for who, differs in timing.differs.items():
            found.setdefault(who, {}).setdefault(timing.group, []).append((timing.name, differs))
    if found:
        yield "| | in | at most | which numbers | the first one: floatlab's result, not theirs |"
        yield "|---|---|---:|---|---|"
    else:
        yield "Nowhere in this run."
    for who, groups in found.items():
        for group, rows in groups.items():
            share = max(differs["count"] / differs["total"] for _, differs in rows)
            kinds = ", ".join(dict.fromkeys(kind for _, differs in rows for kind in differs["kinds"]))
            works = ", ".join(dict.fromkeys(name.split(",")[0] for name, _ in rows))
            name, first = rows[0]
            yield f"| {who} | {group}: {works} | {_percent(share)} | {kinds} | {name}: {first['example']} |"
    failed = {(who, error) for timing in timings for who, error in timing.failed.items()}
    if failed:
        yield ""
        yield "*Fails*: " + ", ".join(f"{who} raises {error}" for who, error in sorted(failed)) + "."


def _percent(share: float) -> str:
    """Return a share of all numbers in few characters.

    >>> _percent(1.0), _percent(0.9999), _percent(0.124), _percent(0.0123), _percent(1e-6)
    ('all', 'nearly all', '12 %', '1.2 %', 'below 0.01 %')
    """
    if share > 0.995:
        return "all" if share == 1 else "nearly all"
    return f"{100 * share:.2g} %" if share >= 1e-4 else "below 0.01 %"


# -- targets -------------------------------------------------------------------------------------------------


@dataclass
class Target:
    """A figure to reach in some cases, and those that were reached.

    Attributes
    ----------
    claim : str
        What is measured.
    most : float
        What it may be.
    measured : list of float
        One for each case.
    """

    claim: str
    most: float
    measured: list[float] = field(default_factory=list)

    @property
    def met(self) -> int:
        """In how many cases it was reached."""
        return sum(value <= self.most for value in self.measured)


def targets(timings: list[Timing]) -> list[Target]:
    """Return what was to be reached, of the cases that were timed."""
    found: dict[str, Target] = {}
    named = {(timing.group, timing.name): timing for timing in timings}
    copy = named.get(("rounding", "fp16, spread"))
    one = copy.seconds["numpy.copyto"] / copy.size if copy else np.nan
    for timing in timings:
        for claim, most, measured in _wanted(timing, one):
            if not np.isnan(measured):
                found.setdefault(claim, Target(claim, most)).measured.append(measured)
    return list(found.values())


def _wanted(timing: Timing, copy: float) -> Iterator[tuple[str, float, float]]:
    """Yield the targets of a case: the claim, the most, and what was measured.

    What was wanted in nanoseconds is wanted in copies here, for other machines have others.
    """
    group, name = timing.group, timing.name
    copies = timing.ratio("floatlab", "numpy.copyto")
    per_element = timing.seconds["floatlab"] / timing.size / copy
    if group == "rounding" and name.startswith(("bf16", "tf32")):
        yield "rounding, bf16 and tf32, copies", 0.52 / COPY_THERE, copies
    elif group == "rounding" and "16M" in name:
        yield "rounding, fp16, 16 million, copies", 3.3, copies
    elif group == "rounding" and "saturating" not in name:
        yield "rounding, fp16 and shorter, copies", 4, copies
    elif group == "modes":
        yield "other modes, times nearest even", 1.3, timing.ratio("floatlab", "floatlab, nearest even")
    elif group == "stochastic":
        yield "stochastic, times nearest even", 2, timing.ratio("floatlab", "floatlab, nearest even")
    elif group == "float64 sources":
        yield "from float64, times from float32", 1.3, timing.ratio("floatlab", "floatlab, from float32")
    elif group == "codes" and name in ("encode e4m3", "encode e5m2"):
        yield "encode, 8 bits, copies", 0.92 / COPY_THERE, copies
    elif group == "codes" and name in ("decode e4m3", "decode e5m2"):
        yield "decode, 8 bits, copies", 0.52 / COPY_THERE, copies
    elif group == "flags":
        yield "flags, copies", 4 / COPY_THERE, copies
    elif group == "arithmetic" and name in ("bf16, multiply", "bf16, divide"):
        yield "bf16 × and ÷, times ml_dtypes", 1, timing.ratio("floatlab", "NumPy types")
    elif group == "arithmetic" and name == "fp16, add":
        yield "fp16 +, copies", 0.8 / COPY_THERE, copies
    elif group == "sums":
        wanted = 25 if "rows" in name else 2.5 if name.startswith("float32") else 6
        kind = "rows of 1000 terms" if "rows" in name else name.replace("10^6", "a million")
        yield f"exact sum, {kind}, copies of a float32 for each term", wanted / COPY_THERE, per_element
    elif group == "products" and name.endswith(", fp32"):
        yield "accumulator fp32, copies of a float32 for each product", 0.4 / COPY_THERE, per_element
    elif group == SMALL and name.endswith(("1 element", "100 elements")):
        call = name.split(",")[0]
        yield f"{call}, 1 and 100 elements, µs", SMALL_CALLS[call], timing.seconds["floatlab"] * 1e6
    if group == "rounding":
        yield "rounding, memory beside the result, MiB", 4, timing.extra_bytes / 2**20


TARGETS = (
    "What the last work on speed was to reach, and what this run reached. Times were wanted of another processor; "
    "they are turned into copies here, except those of small calls."
)
#: Microseconds that a call is to take.
SMALL_CALLS = {"quantize": 7, "encode": 9, "add": 12, "sum": 20}


def _targets(timings: list[Timing]) -> Iterator[str]:
    yield "| | at most | measured | met in |"
    yield "|---|---:|---:|---|"
    for target in targets(timings):
        count, span = len(target.measured), _span(target.measured).removesuffix("×")
        verdict = f"{target.met} of {count}" if target.met else "**not met**"
        yield f"| {target.claim} | {target.most:.3g} | {span} | {'met' if target.met == count else verdict} |"


# -- the page ------------------------------------------------------------------------------------------------


def put_into(page: str, record: dict[str, Any]) -> str:
    """Return the page with what a run found between its marks."""
    for name, text in (("faster", opening(record)), ("tables", tables(record))):
        start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
        before, after = page.split(start)[0], page.split(end)[1]
        page = f"{before}{start}\n\n{text}\n\n{end}{after}"
    return page
