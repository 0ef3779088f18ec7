"""Does it ever end? What stops an answer that goes on and on, without threads or processes of its own.

Two ways, and the first that there is: an alarm of the operating system, which looks at the clock a few times a second
and costs nothing; or, where there are none (Windows, a browser, a thread that is not the main one), Python's trace
function, which looks at the clock at every line of the answer. A debugger that traces is left alone: then nothing is
stopped. Neither interrupts a single call of NumPy.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

__all__ = ["OutOfTime", "Watch"]

_TICK = 0.05  # seconds from one look at the clock to the next
_OURS = __name__.partition(".")[0]


class OutOfTime(BaseException):
    """Somebody's code has run for too long. No `except Exception` of theirs holds it up."""


class Watch:
    """Looks at the clock while somebody's code runs.

    Parameters
    ----------
    seconds : float
        How long one run may take; infinity for any time.

    Examples
    --------
    >>> with Watch(60.0) as watch:
    ...     watch.begin()
    ...     total = sum(range(10))
    ...     watch.end()
    >>> total
    45
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = math.inf
        self._before: Any = None
        self._way = ""

    def begin(self) -> None:
        """Their code begins."""
        self._until = time.monotonic() + self.seconds
        if self._way == "trace":
            sys.settrace(self._on_event)

    def end(self) -> None:
        """Their code has ended: nothing is stopped until it begins again."""
        self._until = math.inf
        if self._way == "trace":
            sys.settrace(None)

    def __enter__(self) -> Watch:
        if math.isinf(self.seconds):
            return self
        if _alarms_are_free():
            self._way = "alarm"
            self._before = signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
        elif sys.gettrace() is None:
            self._way = "trace"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, where: TracebackType | None) -> None:
        self.end()
        if self._way == "alarm":
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._before)
        self._way = ""

    def _look(self) -> None:
        if time.monotonic() > self._until:
            raise OutOfTime  # which an endless loop with a bare `except:` in it would catch: that is past help

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self._look()

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in (_OURS, "numpy"):
            return None  # their own lines are enough, and these are many
        self._look()
        return self._on_event


def _alarms_are_free() -> bool:
    """Whether there are alarms, this is the thread that gets them, and nobody else has set one."""
    return (
        hasattr(signal, "setitimer")
        and sys.platform not in ("emscripten", "wasi")  # where it would never ring
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    )
