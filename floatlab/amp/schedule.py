"""Which format is training in by now? Precision schedules: by the number of steps, or by the value of the loss."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from floatlab.autograd import Tensor
from floatlab.errors import OptionError, StateError
from floatlab.formats import FloatFormat, get_format
from floatlab.optim.parameters import is_number, is_whole

__all__ = ["PrecisionSchedule"]


class PrecisionSchedule:
    """Name the format to train in: the first of some formats, and from each limit on the next one.

    The limits are numbers of steps (`milestones`) or values of the loss (`below`). `step` is called once per step, or
    once per epoch with the mean loss: what the milestones count are its calls. A schedule never goes back, however the
    loss rises again; a loss that is NaN is below nothing.

    Parameters
    ----------
    formats : sequence of str or FloatFormat
        The formats in the order in which they are used. Neither order is refused: "coarse early, fine late" is the
        usual one, since gradients shrink as the loss falls.
    milestones : int or sequence of int, optional
        After how many calls of `step` each next format begins, rising: one less than there are formats.
    below : float or sequence of float, optional
        Below which loss each next format begins, falling: one less than there are formats. The loss of a single batch
        is noisy; give the mean of some.

    Raises
    ------
    FormatError
        If a format is unknown.
    OptionError
        If the limits do not fit the formats, or each other.

    Examples
    --------
    >>> import floatlab as fl
    >>> model = fl.nn.Linear(1, 1, rng=0)
    >>> optimizer = fl.optim.SGD(model.parameters(), lr=0.3)
    >>> schedule = fl.amp.PrecisionSchedule(["e4m3", "fp16"], below=0.1)
    >>> x, y = fl.Tensor([[1.0], [-1.0]]), fl.Tensor([[2.0], [-2.0]])
    >>> for epoch in range(8):
    ...     optimizer.zero_grad()
    ...     with fl.amp.autocast(schedule.format):
    ...         loss = fl.nn.functional.mse_loss(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     if schedule.step(loss):
    ...         print(f"fp16 from epoch {epoch + 1} on")
    fp16 from epoch 3 on
    """

    def __init__(
        self,
        formats: Sequence[str | FloatFormat],
        *,
        milestones: int | Sequence[int] | None = None,
        below: float | Sequence[float] | None = None,
    ) -> None:
        if isinstance(formats, (str, FloatFormat)) or not isinstance(formats, Sequence) or not formats:
            raise OptionError(
                f'formats are a list of at least one format. Got {formats!r:.80}. Use ["e4m3", "fp16"].'
            )
        if milestones is not None and below is not None:
            raise OptionError(
                f"A schedule goes by steps or by the loss. Got milestones={milestones!r:.40} and below={below!r:.40}. "
                "Give one of them."
            )
        self.formats = tuple(get_format(fmt) for fmt in formats)
        self.milestones = _limits("milestones", milestones, _is_count, "rising whole numbers above 0")
        self.below = _limits("below", below, _is_loss, "falling finite numbers")
        falling = tuple(-loss for loss in self.below)
        for name, limits in (("milestones", self.milestones), ("below", falling)):
            if any(a >= b for a, b in pairwise(limits)):
                order = "rise" if name == "milestones" else "fall"
                raise OptionError(
                    f"The limits in {name} {order}. Got {getattr(self, name)}. Put them in order, each once."
                )
        if len(self.milestones) + len(self.below) != len(self.formats) - 1:
            raise OptionError(
                f"There is one limit between any two formats. Got {len(self.milestones) + len(self.below)} limits "
                f"for {len(self.formats)} formats. Give milestones=, or below=, {len(self.formats) - 1} of them."
            )
        self.steps = 0
        self.stage = 0

    @property
    def format(self) -> FloatFormat:
        """The format in force."""
        return self.formats[self.stage]

    def step(self, loss: Any = None) -> bool:
        """Count a step, or an epoch, with its loss; return whether another format begins now.

        A schedule by steps needs no loss, and does not look at one.
        """
        number = _loss(loss) if self.below else None
        self.steps += 1
        before = self.stage
        if number is not None:
            self.stage = max(self.stage, sum(number < limit for limit in self.below))
        else:
            self.stage = sum(self.steps >= limit for limit in self.milestones)
        return self.stage != before

    def state_dict(self) -> dict[str, int]:
        """Return how many steps were counted, and which of the formats is in force."""
        return {"steps": self.steps, "stage": self.stage}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned; raise StateError, and change nothing, if this schedule cannot be there."""
        state = dict(state_dict) if isinstance(state_dict, Mapping) else {}
        if not (
            set(state) == {"steps", "stage"}
            and all(is_whole(value) and value >= 0 for value in state.values())
            and state["stage"] in self._stages_after(int(state["steps"]))
        ):
            raise StateError(
                "The state of a precision schedule holds steps, and a stage that it can have reached in them. Got "
                f"{state_dict!r:.80}. Load what state_dict() of a schedule with the same formats and limits returned."
            )
        self.steps, self.stage = int(state["steps"]), int(state["stage"])

    def _stages_after(self, steps: int) -> range:
        """Return the stages in which a schedule can be after so many steps."""
        if self.below:
            return range(len(self.formats) if steps else 1)
        stage = sum(steps >= limit for limit in self.milestones)
        return range(stage, stage + 1)

    def __repr__(self) -> str:
        formats = ", ".join(repr(fmt.spec) for fmt in self.formats)
        name, limits = ("below", self.below) if self.below else ("milestones", self.milestones)
        return f"PrecisionSchedule([{formats}], {name}={list(limits)})"


def _limits(name: str, given: Any, fits: Any, what: str) -> tuple[Any, ...]:
    """Return the limits that were given, one or several, as plain numbers."""
    if given is None:
        return ()
    found = list(given) if isinstance(given, (list, tuple)) or hasattr(given, "tolist") else [given]
    if not all(fits(limit) for limit in found):
        example = "[100, 300]" if name == "milestones" else "[1.0, 0.1]"
        raise OptionError(f"{name} are {what}. Got {given!r:.80}. Use {example}.")
    return tuple(int(limit) if name == "milestones" else float(limit) for limit in found)


def _is_count(value: Any) -> bool:
    return is_whole(value) and value > 0


def _is_loss(value: Any) -> bool:
    return is_number(value) and -sys.float_info.max <= value <= sys.float_info.max


def _loss(loss: Any) -> Any:
    number = loss.item() if isinstance(loss, Tensor) and loss.size == 1 else loss
    if not is_number(number):
        raise OptionError(
            f"A schedule by the loss is told the loss, a number. Got {loss!r:.80}. Use step(loss)."
        )
    return number
