"""What is an exercise, and when is an answer right? A function that agrees with floatlab on every case there is.

An answer is not compared with one stored number but with the exact result for each input: all codes of a format, or all
pairs of them. The first input on which they differ is the counterexample. Those who got it wrong mostly got it wrong in
one of a few ways, so an exercise knows these as well: the one that explains the answer on every case gives the hint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.course.limit import OutOfTime, Watch
from floatlab.course.shown import badge, panel

__all__ = ["PATIENCE", "Exercise", "Mistake", "Verdict", "judge"]

PATIENCE = 10.0  # seconds for one case; an answer takes some milliseconds

Case = tuple[Any, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is often given.

    Attributes
    ----------
    name : str
        What it is called: "truncation".
    answer : callable
        The function that somebody writes who makes it.
    hint : str
        What shows him that it is one; never the answer.
    """

    name: str
    answer: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes
    ----------
    name : str
        Its number, "02.1": notebook and place.
    task : str
        What is to be written, in a sentence.
    arguments : tuple of str
        What the function is given.
    cases : callable
        Returns everything that it is tried on.
    right : callable
        What is right, by floatlab: takes a list of each argument, one for each case, and returns the results.
    hint : str
        What helps if no mistake is recognised.
    mistakes : tuple of Mistake
    story : callable or None
        What is shown of a counterexample beside the two results: a text, for its arguments.
    """

    name: str
    task: str
    arguments: tuple[str, ...]
    cases: Callable[[], Iterable[Case]]
    right: Callable[..., Sequence[Any]]
    hint: str
    mistakes: tuple[Mistake, ...] = ()
    story: Callable[..., object] | None = None

    @cached_property
    def all_cases(self) -> list[Case]:
        """Everything that an answer is tried on."""
        return list(self.cases())

    @cached_property
    def results(self) -> list[Any]:
        """What is right, case by case."""
        return list(self.right(*map(list, zip(*self.all_cases, strict=True))))


@dataclass(frozen=True)
class Verdict:
    """What came of an answer.

    Attributes
    ----------
    exercise : Exercise
    passed : bool
    tried : int
        How many cases it was tried on.
    counterexample : tuple or None
        The arguments of the first case that it got wrong.
    said : str
        What is wrong, in a sentence.
    hint : str
        What may help.
    mistake : str or None
        The mistake that explains the answer, if one does.
    story : str
        What `floatlab.explain` says of the counterexample.
    """

    exercise: Exercise
    passed: bool
    tried: int
    counterexample: Case | None = None
    said: str = ""
    hint: str = ""
    mistake: str | None = None
    story: str = ""

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        title = f"{self.exercise.name}: {'right' if self.passed else 'not yet'}"
        if self.passed:
            return f"{title}, in all {self.tried:,} cases."
        lines = [title, "", f"  {self.said}"]
        if self.hint:
            lines += ["", f"  Hint: {self.hint}"]
        if self.story:
            lines += ["", *("  " + line for line in self.story.splitlines())]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title = badge(self.exercise.name, self.passed)
        if self.passed:
            return panel(title, [], note=f"Right in all {self.tried:,} cases.")
        rows = [("what happened", self.said), *([("hint", self.hint)] if self.hint else [])]
        return panel(title, rows, story=self.story)


def judge(exercise: Exercise, answer: Any, *, seconds: float = PATIENCE) -> Verdict:
    """Try an answer on every case.

    Whatever it is, and whatever it does, there is a verdict: an answer that raises, that is no function, or that takes
    longer than `seconds` for one case, is wrong.
    """
    if answer is ... or answer is None:
        return _not_yet(
            exercise, 0, "There is no answer yet.", "Write the function, and hand it over itself."
        )
    if not callable(answer):
        what = f"A function is checked. Got {type(answer).__name__} {answer!r:.60}."
        return _not_yet(
            exercise, 0, what, f"Hand over the function itself: check({exercise.name!r}, f), and not f(x)."
        )
    with Watch(seconds) as watch:
        for number, (case, right) in enumerate(zip(exercise.all_cases, exercise.results, strict=True)):
            verdict = _try(exercise, answer, number, case, right, watch)
            if verdict is not None:
                return verdict
    return Verdict(exercise, True, len(exercise.all_cases))


def _try(
    exercise: Exercise, answer: Any, number: int, case: Case, right: Any, watch: Watch
) -> Verdict | None:
    """Try an answer on one case; return nothing if it is right there."""
    handed = _copied(case)
    try:
        result = _run(answer, handed, watch)
    except OutOfTime:
        what = f"For {_call(exercise, case)} it is still running after {watch.seconds:g} seconds."
        hint = "Does it ever end? Look at what a loop waits for, and at what changes it. Or it goes a long way round. "
        return _not_yet(exercise, number, what, hint + exercise.hint, case)
    except Exception as error:  # whatever a student's function raises is his, and no fault of ours
        what = f"For {_call(exercise, case)} it raises {type(error).__name__}: {error}"
        return _not_yet(exercise, number, what, f"It is called with {', '.join(exercise.arguments)}.", case)
    if result is None or result is ...:
        what = f"For {_call(exercise, case)} it returns nothing."
        hint = "Put your own lines in the place of the three dots, and return the result."
        return _not_yet(exercise, number, what, hint, case)
    if not all(map(_same, handed, case)):
        what = f"For {_call(exercise, case)} it changes what it is given."
        return _not_yet(exercise, number, what, "Work on a copy: x = x.copy().", case)
    problem = _misshapen(result, right)
    if problem:
        return _not_yet(exercise, number, f"For {_call(exercise, case)} {problem}", exercise.hint, case)
    return None if _same(result, right) else _wrong(exercise, answer, number, case, result, right, watch)


def _run(answer: Any, handed: Case, watch: Watch) -> Any:
    """Run an answer while the watch looks on."""
    watch.begin()
    try:
        with np.errstate(all="ignore"):
            return answer(*handed)
    finally:
        watch.end()


def _not_yet(exercise: Exercise, tried: int, said: str, hint: str, case: Case | None = None) -> Verdict:
    return Verdict(exercise, False, tried, case, said, hint)


def _wrong(
    exercise: Exercise, answer: Any, number: int, case: Case, result: Any, right: Any, watch: Watch
) -> Verdict:
    """Return the verdict on a wrong result, with the hint of the mistake that explains every result."""
    try:
        mistake = next((m for m in exercise.mistakes if _explains(m, exercise, answer, number, watch)), None)
    except OutOfTime:  # another case on which the answer never ends: no mistake that we know
        mistake = None
    said = f"{_call(exercise, case)} is {_shown(right)}. Your function returns {_shown(result)}."
    story = str(exercise.story(*case)) if exercise.story is not None else ""
    hint = exercise.hint if mistake is None else mistake.hint
    name = None if mistake is None else mistake.name
    return Verdict(exercise, False, number, case, said, hint, name, story)


def _explains(mistake: Mistake, exercise: Exercise, answer: Any, first: int, watch: Watch) -> bool:
    """Whether somebody who makes this mistake gives this answer, on every case, beginning with the first wrong one."""
    for case in (*exercise.all_cases[first:], *exercise.all_cases[:first]):
        try:
            result = _run(answer, _copied(case), watch)
            with np.errstate(all="ignore"):
                if not _same(result, mistake.answer(*_copied(case))):
                    return False
        except Exception:  # another case on which the answer fails: not this mistake
            return False
    return True


def _misshapen(result: Any, right: Any) -> str:
    """Say what is wrong with the type or the shape of a result; nothing if nothing is."""
    if isinstance(right, tuple):
        if not isinstance(result, tuple | list) or len(result) != len(right):
            return f"it returns {type(result).__name__} {result!r:.40}, and not {len(right)} numbers."
        return ""
    if isinstance(result, int | float) and isinstance(right, int | float):
        return ""
    if np.shape(result) != np.shape(right):
        return f"it returns something of shape {np.shape(result)}, and not {np.shape(right)}."
    try:
        np.asarray(result, np.float64)
    except (TypeError, ValueError):
        return f"it returns {type(result).__name__} {result!r:.40}, and no number."
    return ""


def _same(a: Any, b: Any) -> bool:
    """Whether two results are the same numbers; 0 and -0 are not, and a NaN is one."""
    if isinstance(b, str | dict) or (isinstance(b, list) and b and isinstance(b[0], tuple)):
        return bool(a == b)
    if isinstance(b, tuple):
        return isinstance(a, tuple | list) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(b, int | float) and isinstance(a, int | float):  # by far the most
        return (a == b and math.copysign(1.0, a) == math.copysign(1.0, b)) or (a != a and b != b)
    try:
        x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    except (TypeError, ValueError):
        return False
    if x.shape != y.shape:
        return False
    return bool(((x == y) & (np.signbit(x) == np.signbit(y)) | (np.isnan(x) & np.isnan(y))).all())


def _call(exercise: Exercise, case: Case) -> str:
    given = zip(exercise.arguments, case, strict=True)
    return ", ".join(f"{name} = {_shown(x)}" for name, x in given)


def _copied(case: Case) -> Case:
    """Return the arguments once more, so that a function that changes them does no harm."""
    return tuple(x.copy() if isinstance(x, np.ndarray | list | dict) else x for x in case)


def _shown(x: Any) -> str:
    """Return a number, a list or a text as it is written, cut off where it is long."""
    if isinstance(x, float | np.floating):
        return repr(float(x))
    text = repr(x.tolist() if isinstance(x, np.ndarray) else x)
    return text if len(text) <= 80 else text[:74] + " [...]"
