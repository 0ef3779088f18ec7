"""When has a run failed? One rule for every experiment, whatever its task: when it is less than half as fast as fp32.

    goal     = the fp32 run's training loss after half as many epochs (rounded up), but at most 98% of the first loss
    progress = how far the run's training loss has fallen / how far it is from the first loss to the goal
    a run fails if its progress is below 95%, or is no number
    where fp32's own loss has fallen by less than 2% in the end, no run there has learned or failed: there is no answer

The fp32 run has the same seed, data, first weights and settings, without anything narrow. Its first loss is that of the
first batch, before any update; an epoch's loss is the mean over its batches. So the rule knows no task's own scale:
neither how many classes there are, nor in which unit an error is given, nor how good fp32 is. It asks for half of
fp32's speed, not for its result: a run that goes on to learn slowly may come to the same place in the end.

A comparison needs something to compare with. Where fp32 itself gets nowhere, a run that does not learn says nothing
about its format, and neither does one that does: both are left without an answer, and no prediction was right or wrong
there. And where fp32 has only just begun after half of the epochs, being as far would be noise: a run has to fall by
the same 2% to have learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

__all__ = [
    "CRITERION",
    "LEAST_FALL",
    "LEAST_PROGRESS",
    "answers",
    "fails",
    "judged",
    "progress",
    "references_of",
]

LEAST_PROGRESS = (
    0.95  # towards the goal: epochs' losses are noisy, and a run at the goal has half of fp32's speed
)
LEAST_FALL = 0.02  # of fp32's first loss

#: The rule in a sentence, as it is printed with every result and drawn in every figure.
CRITERION = (
    f"A run fails if its training loss falls by less than {LEAST_PROGRESS:.0%} of what the fp32 run with its seed and "
    f"settings has fallen in half as many epochs (at least {LEAST_FALL:.0%}): if it is less than half as fast. Where "
    f"fp32 falls by less than {LEAST_FALL:.0%} itself, there is no answer."
)

Record = Mapping[str, Any]


def answers(reference: Record, epochs: int | None = None) -> bool:
    """Return whether runs can be judged by an fp32 run: whether it has learned anything itself.

    Parameters
    ----------
    reference : mapping
        Record of the fp32 run, with ``first_loss`` and ``epoch_losses`` (null for a NaN).
    epochs : int, optional
        Of the run that is to be judged; without it as many as fp32's.

    Examples
    --------
    >>> answers({"first_loss": 2.3, "epoch_losses": [2.0, 1.3]})
    True
    >>> answers({"first_loss": 2.3, "epoch_losses": [2.3, 2.29]}), answers({"first_loss": 2.3, "epoch_losses": [None]})
    (False, False)
    """
    losses = [_number(value) for value in (reference["first_loss"], *reference["epoch_losses"][:epochs])]
    if not all(map(math.isfinite, losses)):
        return False
    return losses[0] > 0 and losses[0] - losses[-1] >= LEAST_FALL * losses[0]


def progress(record: Record, reference: Record) -> float:
    """Return how far a run has come towards its goal, 1 at the goal; NaN if it, or fp32, has got nowhere.

    Parameters
    ----------
    record, reference : mapping
        Records of the run and of its fp32 run, with ``first_loss`` and ``epoch_losses`` (null for a NaN). The fp32 run
        may have more epochs.

    Examples
    --------
    >>> fp32 = {"first_loss": 2.3, "epoch_losses": [2.0, 1.3, 0.5, 0.3]}
    >>> [round(progress({"epoch_losses": [2.2, 2.0, 1.8, loss]}, fp32), 3) for loss in (1.5, 1.3, 0.3, None)]
    [0.8, 1.0, 2.0, nan]
    """
    losses, others = record["epoch_losses"], reference["epoch_losses"]
    epochs = min(len(losses), len(others))
    if not answers(reference, epochs):
        return math.nan
    start, halfway, own = map(_number, (reference["first_loss"], others[(epochs + 1) // 2 - 1], losses[-1]))
    found = (start - own) / max(start - halfway, LEAST_FALL * start)
    return found if math.isfinite(found) else math.nan


def fails(record: Record, reference: Record) -> bool | None:
    """Return whether a run has failed: its `progress` is below `LEAST_PROGRESS`, or no number.

    None if its fp32 run has got nowhere: nothing is said by a run beside it.

    >>> fp32 = {"first_loss": 2.3, "epoch_losses": [1.3, 0.3]}
    >>> [fails({"epoch_losses": [2.2, loss]}, fp32) for loss in (1.2, 1.4, None)]
    [False, True, True]
    >>> fails({"epoch_losses": [1.0]}, {"first_loss": 2.3, "epoch_losses": [2.29]}) is None
    True
    """
    if not answers(reference, len(record["epoch_losses"])):
        return None
    return not progress(record, reference) >= LEAST_PROGRESS


def judged(record: Record, reference: Record | None) -> dict[str, Any]:
    """Return a record with its ``progress`` and ``failed``.

    Both are null as long as its fp32 run is not finished, and if that has got nowhere. A record without a loss curve
    says itself whether its run has failed, and is left as it is.
    """
    if "epoch_losses" not in record:
        return dict(record)
    if reference is None:
        return {**record, "progress": None, "failed": None}
    found = progress(record, reference)
    return {**record, "progress": None if math.isnan(found) else found, "failed": fails(record, reference)}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def references_of(configs: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Return the fp32 runs that are not among `configs`, and for each run the place of its fp32 run in both together.

    Neither its name nor how long it goes on tells one fp32 run from another: a longer one begins as a shorter one does.
    """
    pool = list(configs)
    places = []
    for config in configs:
        wanted = config.reference()
        place = next((k for k, one in enumerate(pool) if _serves(one, wanted)), len(pool))
        if place == len(pool):
            pool.append(replace(wanted, run="fp32"))
        places.append(place)
    return pool[len(configs) :], places


def _serves(one: Any, wanted: Any) -> bool:
    """Whether a run is an fp32 run that is wanted: the same but for its name, and as long or longer."""
    if type(one) is not type(wanted) or one.seed != wanted.seed:
        return False
    epochs = getattr(wanted, "epochs", 1)
    length = {"epochs": epochs} if hasattr(one, "epochs") else {}
    return bool(getattr(one, "epochs", 1) >= epochs and replace(one, run=wanted.run, **length) == wanted)
