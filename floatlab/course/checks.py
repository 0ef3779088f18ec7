"""Is this answer right? The checks of the course's exercises, for students and for whoever grades them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floatlab.course.exercise import PATIENCE, Exercise, Verdict, judge
from floatlab.course.exercises import EXERCISES
from floatlab.errors import OptionError, check_option

__all__ = ["check", "exercise", "grade"]


def exercise(name: str) -> Exercise:
    """Return an exercise by its number.

    Raises
    ------
    OptionError
        If there is none; the message suggests the nearest.

    Examples
    --------
    >>> exercise("02.1").arguments
    ('x',)
    """
    check_option("the number of an exercise", name, EXERCISES)
    return EXERCISES[name]


def check(name: str, answer: Any = ..., *, seconds: float = PATIENCE) -> Verdict:
    """Check an answer to an exercise, on everything that it can be tried on.

    An answer that never ends is stopped, and gets a hint: by an alarm of the operating system in the main thread of a
    notebook or program on Linux and macOS, and by Python's trace function elsewhere, unless a debugger has it. A single
    call of NumPy is not interrupted.

    Parameters
    ----------
    name : str
        The exercise: "02.1" is the first of notebook 02.
    answer : callable
        The function that was asked for.
    seconds : float
        How long it may take for one case; `math.inf` for any time.

    Returns
    -------
    Verdict
        True if it is right. Else it shows the first counterexample, and a hint; never the answer.

    Raises
    ------
    OptionError
        If there is no such exercise, or `seconds` is no positive number.

    Examples
    --------
    >>> import math
    >>> verdict = check("02.1", lambda x: math.trunc(x * 8) / 8)
    >>> bool(verdict), verdict.said
    (False, 'x = 1.06640625 is 1.125. Your function returns 1.0.')
    >>> verdict.hint
    'You cut off what does not fit. Which of the two neighbours is nearer?'
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise OptionError(
            f"The time for one case is a positive number of seconds. Got seconds={seconds!r}. Use {PATIENCE:g}."
        )
    return judge(exercise(name), answer, seconds=float(seconds))


def grade(answers: Mapping[str, Any], *, seconds: float = PATIENCE) -> dict[str, Verdict]:
    """Check many answers at once: what an autograder calls.

    Parameters
    ----------
    answers : mapping of str to callable
        By the number of the exercise.
    seconds : float
        How long an answer may take for one case.

    Returns
    -------
    dict of str to Verdict
        Of every exercise that was answered.

    Examples
    --------
    >>> verdicts = grade({"01.1": lambda code: (code >> 15, code >> 10 & 31, code & 1023), "02.1": None})
    >>> {name: verdict.passed for name, verdict in verdicts.items()}
    {'01.1': True, '02.1': False}
    """
    return {name: check(name, answer, seconds=seconds) for name, answer in answers.items()}
