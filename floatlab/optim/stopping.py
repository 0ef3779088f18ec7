"""When is training to stop? Early stopping: when nothing has become better for a while, with the best weights back."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from floatlab.autograd import Tensor
from floatlab.errors import OptionError, StateError, check_option, check_switch
from floatlab.optim.parameters import is_number, is_whole

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Stop when a value of the validation has not become better for `patience` steps, and take the best weights back.

    Parameters
    ----------
    model : Module
        Whose state is kept at its best; anything with `state_dict` and `load_state_dict`.
    patience : int
        How many values in a row that are no better are too many.
    mode : str
        Whether "min" or "max" is better. A value that is NaN is not better.
    min_delta : float
        By how much a value has to be better to count.
    restore_best : bool
        Whether the model gets its best state back when training stops.

    Raises
    ------
    OptionError
        If an option, or a value, is none that it could be.

    Examples
    --------
    >>> import floatlab as fl
    >>> model = fl.nn.Linear(1, 1, rng=0)
    >>> stopping = EarlyStopping(model, patience=2)
    >>> for loss in 3.0, 1.0, 2.0, 1.5, 0.5:
    ...     if stopping.step(loss):
    ...         break
    >>> loss, stopping.best, stopping.best_step
    (1.5, 1.0, 1)
    """

    def __init__(
        self,
        model: Any,
        patience: int = 10,
        *,
        mode: str = "min",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        if not (hasattr(model, "state_dict") and hasattr(model, "load_state_dict")):
            raise OptionError(
                f"The state of a model is kept. Got {type(model).__name__}, which has no state_dict(). Pass the model."
            )
        check_option("mode", mode, ("min", "max"))
        if not (is_whole(patience) and patience >= 1):
            raise OptionError(f"patience is at least 1. Got {patience!r}. Give a whole number of steps.")
        if not (is_number(min_delta) and 0.0 <= min_delta < math.inf):
            raise OptionError(f"min_delta is a number of at least 0. Got {min_delta!r}. Use 0.")
        self.model, self.patience = model, int(patience)
        self.mode, self.min_delta = mode, float(min_delta)
        self.restore_best = check_switch("restore_best", restore_best)
        self.best = math.inf if mode == "min" else -math.inf
        self.best_step: int | None = None
        self.steps = 0
        self._best_state: Any = None

    @property
    def worse_steps(self) -> int:
        """How many values in a row have been no better than the best one."""
        return self.steps if self.best_step is None else self.steps - 1 - self.best_step

    def step(self, value: Any) -> bool:
        """Take the value of a step (or epoch) in; return whether to stop, with the best state back in the model."""
        number = value.item() if isinstance(value, Tensor) and value.size == 1 else value
        if not is_number(number):
            raise OptionError(
                f"What becomes better is a number. Got {value!r:.80}. Use step(loss), with the loss of the validation."
            )
        number = float(number)
        gain = self.best - number if self.mode == "min" else number - self.best
        if gain > self.min_delta:
            self.best, self.best_step = number, self.steps
            self._best_state = copy.deepcopy(self.model.state_dict())
        self.steps += 1
        if self.worse_steps < self.patience:
            return False
        if self.restore_best:
            self.restore()
        return True

    def restore(self) -> None:
        """Give the model back the best state so far; do nothing if there was none."""
        if self._best_state is not None:
            self.model.load_state_dict(self._best_state)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and state, and how long ago that was."""
        best_state = copy.deepcopy(self._best_state)
        return {"best": self.best, "best_step": self.best_step, "steps": self.steps, "best_state": best_state}

    def check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise StateError if `state_dict` is not that of an early stopping; change nothing."""
        state = state_dict if isinstance(state_dict, Mapping) else {}
        best_step = state.get("best_step")
        if not (
            set(state) == {"best", "best_step", "steps", "best_state"}
            and is_number(state["best"])
            and is_whole(state["steps"])
            and (best_step is None or (is_whole(best_step) and 0 <= best_step < state["steps"]))
        ):
            raise StateError(
                "The state of an early stopping holds best, best_step, steps and best_state. Got "
                f"{state_dict!r:.80}. Load what state_dict() returned."
            )

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.check_state_dict(state_dict)
        self.best, self.best_step, self.steps = (state_dict[k] for k in ("best", "best_step", "steps"))
        self._best_state = copy.deepcopy(state_dict["best_state"])
