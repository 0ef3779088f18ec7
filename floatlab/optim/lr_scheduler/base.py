"""How does the learning rate change over time? What all schedules share.

A schedule is a function of the step: ``rate(base, n, group)``, n counting the calls of `step` from 0. As long as
nobody else sets a group's rate, it is just that (PyTorch computes it from the last rate; the closed form gives the
same without collecting rounding errors, and the same on every machine). Once somebody else has set it, another
schedule on the same optimizer or a line such as ``optimizer.param_groups[0]["lr"] *= 0.1``, it goes on from there by
``carried(rate, base, n, group)``, as PyTorch does: two schedules multiply, and the change survives.

The base rate of a group is its "initial_lr", which the first schedule of an optimizer notes. A group that is added
later joins at its own rate.

A step that a gradient scaler skipped is not a step: ask ``scaler.last_step_was_skipped`` before
``schedule.step()``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

from floatlab.errors import OptionError, StateError
from floatlab.optim.optimizer import Optimizer
from floatlab.optim.parameters import is_number, is_whole

__all__ = ["LRScheduler", "factor_of", "milestones_of", "steps_of"]


class LRScheduler:
    """The base of the schedules: subclasses define `rate`.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups' ``lr`` is set.
    last_epoch : int
        -1, a beginning. A schedule is resumed by `load_state_dict`.

    Raises
    ------
    OptionError
        If a setting is out of its range, now, or a rate that it leads to is none, later: NaN, or below 0.
    """

    #: The names of the settings that `state_dict` holds.
    _settings: tuple[str, ...] = ()
    #: Whether a rate that nobody else has set is `rate`; if not, each one is `carried`.
    _is_closed = True

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise OptionError(
                f"A schedule sets the rates of an optimizer. Got {type(optimizer).__name__}. "
                "Create the optimizer first, and give it."
            )
        if last_epoch != -1:
            raise OptionError(
                f"A schedule begins at its step 0, which last_epoch=-1 says. Got {last_epoch!r}. "
                "To go on, use load_state_dict()."
            )
        self.optimizer = optimizer
        self._check()
        self.last_epoch = 0
        self.base_lrs: list[float] = []
        self._set: list[float | None] = []  # what this schedule has set last; None once somebody else has
        self._take_in(optimizer.param_groups)
        self._set = list(self.base_lrs)
        self._go()

    def _take_in(self, groups: list[dict[str, Any]]) -> None:
        """Note the base rates of groups, for this schedule and for those after it."""
        for group in groups:
            self.base_lrs.append(float(group.setdefault("initial_lr", group["lr"])))
            self._set.append(None)

    def _check(self) -> None:
        """Raise OptionError if a setting is out of its range."""

    def rate(self, base: float, n: int, group: int) -> float:
        """Return the learning rate after `n` steps of the schedule, for a group whose base rate is `base`."""
        raise TypeError(f"{type(self).__name__} has no rate. Define rate(base, n, group) in the subclass.")

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return the rate at step `n` of a group that somebody else has set to `lr`: in the proportion of `rate`."""
        before = base if n == 0 else self.rate(base, n - 1, group)
        after = self.rate(base, n, group)
        if before == after:
            return lr
        return lr * (after / before) if before else after

    def step(self, epoch: Any = None) -> None:
        """Go on by one step (or epoch: the unit is yours)."""
        if epoch is not None:
            raise OptionError(
                f"{type(self).__name__} counts its steps itself. Got step({epoch!r:.80}). Use step()."
            )
        self.last_epoch += 1
        try:
            self._go()
        except BaseException:
            self.last_epoch -= 1
            raise

    def get_last_lr(self) -> list[float]:
        """Return the learning rates as this schedule left them, one a group.

        As in PyTorch: what another schedule or a line of yours has made of them since is in ``param_groups``.
        """
        return list(self._last_lr)

    def _in_force(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _go(self) -> None:
        """Set the rates of step `last_epoch`, and note them."""
        self._apply()
        self._last_lr = self._in_force()

    def _apply(self) -> None:
        """Set the rates of step `last_epoch`: all of them, or none if one is none."""
        groups = self.optimizer.param_groups
        self._take_in(groups[len(self.base_lrs) :])  # which were added later
        found = [self._next(position, group["lr"]) for position, group in enumerate(groups)]
        for position, (group, (lr, own)) in enumerate(zip(groups, found, strict=True)):
            group["lr"] = lr
            self._set[position] = lr if own else None

    def _next(self, position: int, lr: Any) -> tuple[float, bool]:
        """Return the next rate of a group, and whether nobody else has had a hand in it."""
        if not is_number(lr):
            raise OptionError(
                f"A learning rate is a number. Got {lr!r} in group {position}. Set another one."
            )
        base, own = self.base_lrs[position], self._is_closed and lr == self._set[position]
        new = (
            self.rate(base, self.last_epoch, position)
            if own
            else self.carried(float(lr), base, self.last_epoch, position)
        )
        if not (is_number(new) and new >= 0.0):
            raise OptionError(
                f"A learning rate is at least 0. Got {new!r} from {type(self).__name__} at step {self.last_epoch} for "
                f"group {position}. Choose settings that never lead below 0."
            )
        return float(new), own

    def _restart(self) -> None:
        """Begin anew from the base rates, whatever the rates are now."""
        self.last_epoch = 0
        for position, (group, base) in enumerate(
            zip(self.optimizer.param_groups, self.base_lrs, strict=False)
        ):
            group["lr"] = self._set[position] = base
        self._go()

    # -- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the schedule, its settings, the base rates, and the rates in force."""
        return {
            "schedule": type(self).__name__,
            "last_epoch": self.last_epoch,
            "base_lrs": list(self.base_lrs),
            "lrs": self._in_force(),
            "set": list(self._set),
            "settings": {name: getattr(self, name) for name in self._settings},
        }

    def check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise StateError if `state_dict` does not fit this schedule; change nothing."""
        self._checked(state_dict)

    def _checked(self, state_dict: Mapping[str, Any]) -> LRScheduler:
        """Return a copy of this schedule with the settings of a saved state, which fits."""
        kind = type(self).__name__
        if not isinstance(state_dict, Mapping) or state_dict.get("schedule") != kind:
            saved = state_dict.get("schedule") if isinstance(state_dict, Mapping) else state_dict
            raise StateError(
                f"A schedule's state is loaded into a schedule of its kind. Got {saved!r:.80} for {kind!r}. "
                "Create the schedule that was saved."
            )
        bases, count = state_dict.get("base_lrs"), len(self.optimizer.param_groups)
        if not isinstance(bases, list | tuple) or len(bases) != count:
            found = len(bases) if isinstance(bases, list | tuple) else repr(bases)
            raise StateError(
                f"A schedule has one base rate a group. Got {found} for {count}. "
                "Create the optimizer with the same groups."
            )
        n, lrs = state_dict.get("last_epoch"), state_dict.get("lrs", bases)
        rates: list[Any] = [*bases, *lrs] if isinstance(lrs, list | tuple) and len(lrs) == count else [None]
        if not is_whole(n) or not all(is_number(lr) and lr >= 0.0 for lr in rates):
            raise StateError(
                "A schedule's state holds its step and rates of at least 0. Got "
                f"last_epoch={n!r}, base_lrs={bases!r}, lrs={lrs!r}. Load what state_dict() returned."
            )
        new = copy.copy(self)
        for name, value in dict(state_dict.get("settings", {})).items():
            if name in self._settings:
                setattr(new, name, value)
        try:
            new._check()
        except OptionError as problem:
            raise StateError(f"A schedule's state holds settings that it can have. {problem}") from None
        return new

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned: the settings too, and the optimizer's rates."""
        new = self._checked(state_dict)
        for name in self._settings:
            setattr(self, name, getattr(new, name))
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        bases = enumerate(self.base_lrs)
        rates = state_dict.get("lrs")
        if rates is None:  # a file from before schedules held them
            rates = [self.rate(base, self.last_epoch, position) for position, base in bases]
        self._set = list(state_dict.get("set", rates))
        for group, base, lr in zip(self.optimizer.param_groups, self.base_lrs, rates, strict=True):
            group["initial_lr"], group["lr"] = base, lr
        self._last_lr = self._in_force()


def steps_of(option: str, value: Any, least: int = 1) -> int:
    """Return a number of steps; raise OptionError if it is none."""
    if not (is_whole(value) and value >= least):
        raise OptionError(f"{option} is at least {least}. Got {value!r}. Give a whole number of steps.")
    return int(value)


def factor_of(option: str, value: Any, most: float = math.inf) -> float:
    """Return a factor or a rate, which is finite and at least 0; raise OptionError if it is none."""
    if not (is_number(value) and math.isfinite(value)):
        raise OptionError(f"{option} is a finite number. Got {value!r}. Write it as in {option}=0.1.")
    if not 0.0 <= value <= most:
        span = "is at least 0" if most == math.inf else f"lies in [0, {most:g}]"
        raise OptionError(f"{option} {span}. Got {value!r}. Write it as in {option}=0.1.")
    return float(value)


def milestones_of(milestones: Any, least: int = 1) -> list[int]:
    """Return the steps at which something changes, sorted; raise OptionError if they are none."""
    if isinstance(milestones, str | Mapping) or not isinstance(milestones, Iterable):
        raise OptionError(
            f"milestones are several steps. Got {milestones!r}. Write them as in milestones=[30, 80]."
        )
    return sorted(steps_of("A milestone", step, least) for step in milestones)
