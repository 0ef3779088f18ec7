"""What was proven? The outcomes of all tasks as tables: on the screen, as Markdown, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from floatlab.errors import DataError
from floatlab.system.files import write_whole
from floatlab.verify.journal import Fingerprint
from floatlab.verify.tasks import EXAMPLES, Outcome, Task

__all__ = ["Line", "Report", "make_report"]


@dataclass(frozen=True)
class Line:
    """The outcomes of all tasks of one part for one format.

    Attributes
    ----------
    section, part, subject : str
        As in `Task`.
    comparisons, disagreements : int
        How many results were compared, and how many of them differed.
    excluded : dict of str to int
        How many inputs were left out, by the reason why.
    examples : list of str
        The first few disagreements.
    digest : str
        The SHA-256 of the tasks' digests, in their order; the same on every machine.
    finished, planned : int
        How many tasks there are, and how many have been done.
    skipped : str
        Why nothing was done, or "".
    seconds : float
        Time on one core.
    """

    section: str
    part: str
    subject: str
    comparisons: int
    disagreements: int
    excluded: dict[str, int]
    examples: list[str]
    digest: str
    finished: int
    planned: int
    skipped: str
    seconds: float

    @property
    def verdict(self) -> str:
        """What became of it, in a few words."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.disagreements:
            return f"{self.disagreements:,} DISAGREE"
        return (
            "agree"
            if self.finished == self.planned
            else f"agree so far, {self.finished} of {self.planned} done"
        )


@dataclass(frozen=True)
class Report:
    """A proof, as far as it has come."""

    form: str
    lines: list[Line]
    fingerprint: Fingerprint
    surroundings: dict[str, str]

    @property
    def comparisons(self) -> int:
        """How many results were compared."""
        return sum(line.comparisons for line in self.lines)

    @property
    def disagreements(self) -> int:
        """How many of them differed."""
        return sum(line.disagreements for line in self.lines)

    @property
    def skipped(self) -> list[str]:
        """What was left out for want of a package, without repetition."""
        return sorted({f"{line.section}, {line.part}: {line.skipped}" for line in self.lines if line.skipped})

    @property
    def complete(self) -> bool:
        """Whether every task that is not skipped is finished."""
        return all(line.skipped or line.finished == line.planned for line in self.lines)

    @property
    def summary(self) -> str:
        """The whole in one sentence.

        >>> Report("short", [], Fingerprint("", {}), {}).summary
        '0 results compared, 0 disagreements.'
        """
        text = f"{self.comparisons:,} results compared, {self.disagreements:,} disagreements."
        if not self.complete:
            text += " Unfinished: the same command goes on from here."
        return text + "".join(f" Skipped: {what}." for what in self.skipped)

    def to_json(self) -> str:
        """Return the report as JSON."""
        head = {"form": self.form, "summary": self.summary, "complete": self.complete}
        return json.dumps(
            {
                **head,
                **asdict(self.fingerprint),
                **self.surroundings,
                "lines": [asdict(line) for line in self.lines],
            },
            indent=1,
        )

    def to_markdown(self) -> str:
        """Return the report as Markdown, with a table for each section."""
        packages = ", ".join(f"{name} {version}" for name, version in self.fingerprint.packages.items())
        around = ", ".join(f"{name} {value}" for name, value in self.surroundings.items())
        text = [
            f"**{self.summary}**",
            "",
            f"- Form: {self.form}",
            f"- Compared with: {packages}",
            f"- Run on: {around}",
            f"- SHA-256 of the numeric core's source: `{self.fingerprint.source}`",
            f"- Time: {sum(line.seconds for line in self.lines) / 60:,.0f} minutes of one core",
        ]
        for section in dict.fromkeys(line.section for line in self.lines):
            lines = [line for line in self.lines if line.section == section]
            text += ["", f"## {section.capitalize()}", ""]
            text += ["| compared with | format | results | disagreements | verdict | digest |"]
            text += ["|---|---|---:|---:|---|---|"]
            for line in lines:
                digest = f"`{line.digest[:16]}`" if line.digest else ""
                text.append(
                    f"| {line.part} | {line.subject} | {line.comparisons:,} | {line.disagreements:,} "
                    f"| {line.verdict} | {digest} |"
                )
            notes = [
                f"- {line.subject}, {line.part}: {count:,} {reason}"
                for line in lines
                for reason, count in line.excluded.items()
            ]
            text += ["", "Left out, or compared otherwise:", "", *notes] if notes else []
            examples = [f"- `{example}`" for line in lines for example in line.examples]
            text += ["", "The first disagreements:", "", *examples] if examples else []
        return "\n".join(text) + "\n"

    def save(self, folder: Path) -> None:
        """Write report.json and report.md."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"A report is written into a folder. Got {folder} ({error.strerror}). Name another one."
            ) from None
        write_whole(folder / "report.json", (self.to_json() + "\n").encode())
        write_whole(folder / "report.md", ("# Verification report\n\n" + self.to_markdown()).encode())

    def print(self, console: Any) -> None:
        """Print a table with a line for each part and format on a rich console."""
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("section", "compared with", "format"):
            table.add_column(name)
        table.add_column("results", justify="right")
        table.add_column("verdict")
        for line in self.lines:
            style = "red" if line.disagreements else "yellow" if line.skipped else "green"
            verdict = f"[{style}]{line.verdict}[/]"
            table.add_row(line.section, line.part, line.subject, f"{line.comparisons:,}", verdict)
        console.print(table)
        for line in self.lines:
            for example in line.examples:
                console.print(f"  {example}", markup=False, highlight=False)
        console.print(self.summary, style="bold red" if self.disagreements else "bold")


def make_report(
    form: str,
    tasks: Sequence[Task],
    finished: Mapping[str, Outcome],
    fingerprint: Fingerprint,
    surroundings: dict[str, str],
) -> Report:
    """Put the outcomes of the finished tasks together, a line for each part and format."""
    groups: dict[tuple[str, str, str], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.section, task.part, task.subject), []).append(task)
    lines = []
    for (section, part, subject), members in groups.items():
        outcomes = [finished[task.id] for task in members if task.id in finished]
        excluded: dict[str, int] = {}
        for outcome in outcomes:
            for reason, count in outcome.excluded.items():
                excluded[reason] = excluded.get(reason, 0) + count
        digests = "".join(outcome.digest for outcome in outcomes)
        whole = len(outcomes) == len(members) and digests
        lines.append(
            Line(
                section=section,
                part=part,
                subject=subject,
                comparisons=sum(outcome.comparisons for outcome in outcomes),
                disagreements=sum(outcome.disagreements for outcome in outcomes),
                excluded=excluded,
                examples=[example for outcome in outcomes for example in outcome.examples][:EXAMPLES],
                digest=hashlib.sha256(digests.encode()).hexdigest() if whole else "",
                finished=len(outcomes),
                planned=len(members),
                skipped=next((outcome.skipped for outcome in outcomes if outcome.skipped), ""),
                seconds=sum(outcome.seconds for outcome in outcomes),
            )
        )
    return Report(form, lines, fingerprint, surroundings)
