"""Calls side by side: every item once, and Ctrl-C is the first process's alone."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from floatlab.processes import side_by_side


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


def test_ctrl_c_while_workers_start_stops_the_job_at_once():
    script = textwrap.dedent("""
        import os, signal, threading, time
        from floatlab.processes import side_by_side

        threading.Timer(0.05, lambda: os.killpg(0, signal.SIGINT)).start()  # to the whole group, as a terminal does
        try:
            for _ in side_by_side(time.sleep, [0.5] * 8, 2):
                pass
        except KeyboardInterrupt:
            print("interrupted")
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, start_new_session=True
    )
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
    assert "KeyboardInterrupt" not in done.stderr
