"""An answer that never ends is stopped, in either way, and nothing is left behind: no alarm, no trace function."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time

import pytest

from floatlab.course import check, grade, limit
from floatlab.errors import OptionError

ALARMS = hasattr(signal, "setitimer")


@pytest.fixture(params=["alarm", "trace"])
def way(request, monkeypatch):
    """Each of the two ways of looking at the clock."""
    if request.param == "trace":
        if sys.gettrace() is not None:
            pytest.skip("something else traces")
        monkeypatch.setattr(limit, "_alarms_are_free", lambda: False)
    elif not ALARMS:
        pytest.skip("this system has no alarms")
    return request.param


def nothing_is_left():
    quiet = not ALARMS or (
        signal.getitimer(signal.ITIMER_REAL)[0] == 0.0 and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    )
    return quiet and sys.gettrace() is None


def never_ends(x):
    while True:
        pass


def holds_on(x):
    while True:
        try:
            while True:
                pass
        except Exception:
            continue


def waits_for_what_nobody_changes(x):
    unit = 1.0
    while unit > 0:
        x += unit
    return x


@pytest.mark.parametrize("answer", [never_ends, holds_on, waits_for_what_nobody_changes])
def test_an_answer_that_never_ends_is_stopped_with_a_hint(way, answer):
    began = time.monotonic()
    verdict = check("02.1", answer, seconds=0.2)
    assert not verdict and time.monotonic() - began < 30.0
    assert verdict.said == "For x = 1.0 it is still running after 0.2 seconds."
    assert "Does it ever end?" in verdict.hint and "Count eighths" in verdict.hint
    assert verdict.counterexample == (1.0,) and "OutOfTime" not in str(verdict)
    assert nothing_is_left()


def test_the_time_is_that_of_one_case_and_not_of_all(way):
    def slow(x):
        time.sleep(0.01)
        return round(x * 8) / 8

    verdict = check("02.1", slow, seconds=1.0)
    assert verdict and 0.01 * verdict.tried > 1.0 and nothing_is_left()


def test_a_loop_on_a_later_case_names_that_case(way):
    verdict = check("02.1", lambda x: round(x * 8) / 8 if x < 1.5 else never_ends(x), seconds=0.2)
    assert not verdict and verdict.counterexample == (1.5,) and "x = 1.5 it is still running" in verdict.said


def test_a_wrong_answer_that_never_ends_elsewhere_is_told_its_counterexample(way):
    began = time.monotonic()
    verdict = check("02.1", lambda x: math.floor(x * 8) / 8 if x < 1.5 else never_ends(x), seconds=0.2)
    assert not verdict and verdict.counterexample == (1.06640625,) and verdict.mistake is None
    assert time.monotonic() - began < 30.0 and nothing_is_left()


def test_what_is_right_or_wrong_or_raises_is_so_in_either_way(way):
    assert check("02.1", lambda x: round(x * 8) / 8)
    assert check("02.1", lambda x: math.trunc(x * 8) / 8).mistake == "truncation"
    assert "ZeroDivisionError" in check("02.1", lambda x: 1 / 0).said
    assert nothing_is_left()


@pytest.mark.skipif(not ALARMS, reason="this system has no alarms")
def test_an_alarm_of_somebody_else_is_left_alone():
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        assert not check("02.1", never_ends, seconds=0.2)
        assert 900.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_a_thread_that_is_not_the_main_one_is_stopped_as_well():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(check("02.1", never_ends, seconds=0.2)))
    thread.start()
    thread.join(20.0)
    assert verdicts and "still running" in verdicts[0].said


def test_a_debugger_keeps_its_trace_function(monkeypatch):
    monkeypatch.setattr(limit, "_alarms_are_free", lambda: False)
    before, seen = sys.gettrace(), []

    def debugger(frame, event, argument):
        seen.append(event)

    sys.settrace(debugger)
    try:
        assert check("02.1", lambda x: round(x * 8) / 8)
        assert sys.gettrace() is debugger and seen
    finally:
        sys.settrace(before)


def test_any_time_can_be_given(way):
    assert check("02.1", lambda x: round(x * 8) / 8, seconds=math.inf) and nothing_is_left()


def test_an_autograder_goes_on_after_an_answer_that_never_ends():
    verdicts = grade({"02.1": never_ends, "02.2": lambda x: x, "02.3": ...}, seconds=0.2)
    assert [bool(v) for v in verdicts.values()] == [False, False, False]
    assert "still running" in verdicts["02.1"].said and verdicts["02.2"].counterexample


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "ten", None, True])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(OptionError, match="positive number of seconds"):
        check("02.1", print, seconds=seconds)
