"""Predictions are compared, answers are tried on everything, and each frequent mistake has a hint of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

import floatlab as fl
from floatlab.course import check, grade, predict
from floatlab.course.checks import exercise
from floatlab.course.exercises import EXERCISES
from floatlab.errors import OptionError

ALL = [pytest.param(one, id=name) for name, one in EXERCISES.items()]
MISTAKES = [(name, m.name) for name, one in EXERCISES.items() for m in one.mistakes]


def right_answer(name):
    """Return a function that knows the results by heart."""
    one = exercise(name)
    by_heart = dict(zip(map(repr, one.all_cases), one.results, strict=True))
    return lambda *arguments: by_heart[repr(arguments)]


@pytest.mark.parametrize("one", ALL)
def test_what_is_right_passes_in_every_case(one):
    verdict = check(one.name, right_answer(one.name))
    assert verdict and verdict.passed and verdict.tried == len(one.all_cases) >= 7
    assert "right, in all" in str(verdict) and "right" in verdict._repr_html_()


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_every_mistake_is_caught_and_has_its_own_hint(name, mistake):
    made = next(m for m in exercise(name).mistakes if m.name == mistake)
    verdict = check(name, made.answer)
    assert not verdict and verdict.mistake == mistake and verdict.hint == made.hint
    assert made.hint in str(verdict) and "Traceback" not in str(verdict)
    assert len({m.hint for m in exercise(name).mistakes}) == len(exercise(name).mistakes)


@pytest.mark.parametrize("one", ALL)
def test_an_answer_that_no_mistake_explains_has_the_general_hint(one):
    *_, last = one.all_cases
    by_heart, key = right_answer(one.name), repr(last)

    def wrong_once(*arguments):
        result = by_heart(*arguments)
        if repr(arguments) != key:
            return result
        if isinstance(result, tuple | list):
            return type(result)(part + 1 for part in result)
        return result + 1 if result == result else 0.0

    verdict = check(one.name, wrong_once)
    assert not verdict and verdict.mistake is None and verdict.hint == one.hint
    assert verdict.tried == len(one.all_cases) - 1  # the last one is tried as well


def test_the_counterexample_is_the_first_wrong_case_and_is_explained():
    verdict = check("02.1", lambda x: math.floor(x * 8) / 8)
    assert verdict.counterexample == (1.06640625,)
    assert verdict.said == "x = 1.06640625 is 1.125. Your function returns 1.0."
    assert str(fl.explain(1.06640625, "e4m3")) == verdict.story
    assert "<pre" in verdict._repr_html_() and "&lt;" not in verdict.story


def unlike(x):
    raise ZeroDivisionError("of mine")


def changes(terms):
    terms.append(0.0)
    return 0.0


@pytest.mark.parametrize(
    ("name", "answer", "said", "hint"),
    [
        ("02.1", ..., "There is no answer yet.", "Write the function"),
        ("02.1", None, "There is no answer yet.", "Write the function"),
        ("02.1", 1.125, "A function is checked. Got float 1.125.", "and not f(x)"),
        ("02.1", lambda x: None, "For x = 1.0 it returns nothing.", "three dots"),
        ("02.1", lambda x: ..., "For x = 1.0 it returns nothing.", "three dots"),
        ("02.1", unlike, "For x = 1.0 it raises ZeroDivisionError: of mine", "It is called with x."),
        ("02.1", lambda: 1.0, "For x = 1.0 it raises TypeError:", "It is called with x."),
        ("02.1", lambda x: "1.0 or so", "no number", "Count eighths"),
        ("02.1", lambda x: [x, x], "of shape (2,), and not ()", "Count eighths"),
        ("02.1", lambda x: 1j, "no number", "Count eighths"),
        ("01.1", lambda code: code, "and not 3 numbers", "1 sign bit"),
        ("01.1", lambda code: (0, 0), "and not 3 numbers", "1 sign bit"),
        ("01.1", lambda code: ("a", "b", "c"), "is (0, 0, 0)", "1 sign bit"),
        ("03.2", changes, "it changes what it is given.", "Work on a copy"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_to_be_none(name, answer, said, hint):
    verdict = check(name, answer)
    assert not verdict and said in verdict.said and hint in verdict.hint
    assert str(verdict) and verdict._repr_html_()


def test_numbers_of_numpy_and_arrays_without_axes_are_numbers():
    for kind in (np.float32, np.float64, lambda x: np.array(x)):
        assert check("02.1", lambda x, kind=kind: kind(round(x * 8) / 8))


def test_zeros_have_signs_and_a_nan_is_one():
    assert not check("01.2", lambda code: abs(fl.decode([code], "e4m3")[0]))
    assert not check("01.2", lambda code: np.nan_to_num(fl.decode([code], "e4m3")[0], nan=0.0))


def test_an_unknown_exercise_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match=r'Use "02\.'):
        check("02.l", print)


def test_grades_are_those_of_the_checks():
    verdicts = grade({"02.1": right_answer("02.1"), "02.2": lambda x: x, "02.3": ...})
    assert [bool(v) for v in verdicts.values()] == [True, False, False]


def test_no_gradient_depends_on_the_order_in_which_shares_are_added():
    for _, values in exercise("05.2").all_cases:
        assert all(values.values())
        assert all(number * 2.0**20 % 1.0 == 0.0 for number in values.values())  # every product is exact


@pytest.mark.parametrize(
    ("fmt", "stop"),
    [(*case, stop) for case, stop in zip(exercise("03.3").all_cases, exercise("03.3").results, strict=True)],
)
def test_a_sum_of_ones_stops_where_the_exercise_says_and_not_at_the_largest_value(fmt, stop):
    total = 0.0 if stop < 4096 else stop - 3.0  # from 0 up it takes millions of terms in fp32
    while (new := fl.quantize(total + 1.0, fmt).item()) != total:
        assert new == total + 1.0
        total = new
    assert total == stop < fl.get_format(fmt).max


def test_there_are_three_exercises_to_a_lecture():
    numbers = [name.split(".") for name in EXERCISES if name[0].isdigit()]
    assert {place for _, place in numbers} == {"1", "2", "3"} and len(numbers) == 3 * len(
        {n for n, _ in numbers}
    )


@pytest.mark.parametrize(
    ("said", "result", "verdict"),
    [
        (1024, 1024, "right"), (1000, 1024, "close"), (512, 1024, "off by a factor of 2"),
        (-1.0, 1.0, "not so"), (0, 1e-9, "not so"), (0.0, 0, "right"), (math.nan, math.nan, "right"),
        (math.inf, 1.0, "not so"), (math.inf, math.inf, "right"), ("E4M3", "e4m3", "right"), ("yes", True, "right"),
        (True, "no", "not so"), (np.float32(0.5), 0.5, "right"), ([1], 1, "not so"), ("many", 3, "not so"),
        (..., 3, ""), (None, 3, ""), (10**400, 1.0, "not so"),
    ],
)  # fmt: skip
def test_a_prediction_is_compared(said, result, verdict):
    comparison = predict("What?", said).compare(result)
    assert comparison.verdict == verdict
    assert str(comparison).startswith("What?\n  you said") and "What?" in comparison._repr_html_()


def test_a_prediction_that_is_not_made_stops_nothing():
    guess = predict("How many?")
    assert not guess.is_made and repr(guess) == "How many? (no prediction yet)"
    assert "nothing yet" in str(guess.compare(7)) and "7" in str(guess.compare(7))
