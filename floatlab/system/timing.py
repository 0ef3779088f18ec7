"""How long does a call take here? The fastest of many rounds, in which all contenders take turns.

Whatever slows the machine down slows all of them then, so ratios of the fastest rounds are worth something even where
the seconds are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["take_turns"]

SHORTEST = 2e-3  # a round takes at least this long: a small call is repeated
LONG = 0.15  # of a call that takes longer, two rounds are enough


def take_turns(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the seconds of the fastest round of each contender, for one call.

    Each is called once before anything counts, so that tables are made and pages are there.

    Parameters
    ----------
    contenders : mapping of str to callable
        What to call.
    rounds : int
        How many rounds.

    Examples
    --------
    >>> seconds = take_turns({"short": lambda: sum(range(10)), "long": lambda: sum(range(100_000))}, 3)
    >>> seconds["short"] < seconds["long"]
    True
    """
    repeats, least, own_rounds = {}, dict.fromkeys(contenders, float("inf")), {}
    for who, call in contenders.items():
        call()
        once = _seconds(call, 1)
        repeats[who] = max(1, int(SHORTEST / max(once, 1e-9)))
        own_rounds[who] = rounds if once < LONG else min(rounds, 2)
    for turn in range(rounds):
        for who, call in contenders.items():
            if turn < own_rounds[who]:
                least[who] = min(least[who], _seconds(call, repeats[who]) / repeats[who])
    return least


def _seconds(call: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start
