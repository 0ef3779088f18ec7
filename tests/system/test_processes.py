"""Calls side by side: every item once, and Ctrl-C is the first process's alone."""

import signal
import time

import joblib
import pytest

from floatlab.system.processes import side_by_side


def square(x):
    return x * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_done_once(jobs):
    assert sorted(side_by_side(square, [3, 1, 2], jobs)) == [(0, 9), (1, 1), (2, 4)]
    assert list(side_by_side(square, [], jobs)) == []


def disposition(_):
    time.sleep(0.2)
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_workers_ignore_ctrl_c_and_the_first_process_does_not():
    before = signal.getsignal(signal.SIGINT)
    assert all(ignored for _, ignored in side_by_side(disposition, range(4), 2))
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_are_started_while_ctrl_c_is_blocked(monkeypatch):
    masks = []
    call = joblib.Parallel.__call__

    def started(self, iterable):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return call(self, iterable)

    monkeypatch.setattr(joblib.Parallel, "__call__", started)
    assert sorted(side_by_side(square, [1, 2], 2)) == [(0, 1), (1, 4)]
    assert len(masks) == 1 and signal.SIGINT in masks[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
