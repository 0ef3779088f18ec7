"""Which schedules follow a cosine? Once, again and again, or up and down in one cycle.

The rules and defaults are those of torch.optim.lr_scheduler. Papers: the cosine and its restarts, Loshchilov and Hutter
2017 (SGDR); one cycle, Smith and Topin 2018 (super-convergence).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from floatlab.errors import OptionError, StateError, check_option, check_switch
from floatlab.optim.lr_scheduler.base import LRScheduler, factor_of, steps_of
from floatlab.optim.optimizer import Optimizer
from floatlab.optim.parameters import is_number, is_whole
from floatlab.optim.scalars import cosine_of_pi

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR"]


class CosineAnnealingLR(LRScheduler):
    """From the base rate down to `eta_min` along half a cosine of `T_max` steps, and up again.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.CosineAnnealingLR(sgd, T_max=2)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    _settings = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.T_max, self.eta_min = steps_of("T_max", self.T_max), factor_of("eta_min", self.eta_min)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``eta_min + (base - eta_min) * (1 + cos(pi n / T_max)) / 2``."""
        return self.eta_min + (base - self.eta_min) * (1.0 + cosine_of_pi(n, self.T_max)) / 2.0

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return the rate whose distance from `eta_min` has changed as the cosine has."""
        if n == 0:
            return lr
        before, after = (1.0 + cosine_of_pi(k, self.T_max) for k in (n - 1, n))
        if before == 0.0:  # from the lowest point, the cosine rises by itself
            return lr + (base - self.eta_min) * after / 2.0
        return self.eta_min + (lr - self.eta_min) * (after / before)


class CosineAnnealingWarmRestarts(LRScheduler):
    """From the base rate down to `eta_min` along half a cosine, again and again; each time `T_mult` times as long.

    It says the rate whatever others have set. ``step(epoch)`` sets the position, which may be a fraction, as in
    ``schedule.step(epoch + batch / batches)``.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=2)
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    _settings = ("T_0", "T_mult", "eta_min")

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self._fraction = Fraction(0)  # of the step that step(epoch) has set
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.T_0, self.T_mult = steps_of("T_0", self.T_0), steps_of("T_mult", self.T_mult)
        self.eta_min = factor_of("eta_min", self.eta_min)

    def step(self, epoch: Any = None) -> None:
        """Go on by one step, or to the position `epoch`."""
        if epoch is None:  # a fraction stays, as in PyTorch
            super().step()
            return
        if not (is_number(epoch) and 0.0 <= epoch < math.inf):
            raise OptionError(f"A position is a number of at least 0. Got {epoch!r}. Use step().")
        position = Fraction(epoch if is_whole(epoch) else float(epoch))
        self.last_epoch = math.floor(position)
        self._fraction = position - self.last_epoch
        self._go()

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``eta_min + (base - eta_min) * (1 + cos(pi t / T)) / 2``, t steps into a cycle of T."""
        length, position = self.T_0, n + self._fraction
        if self.T_mult == 1:
            position %= length
        while position >= length:
            position, length = position - length, length * self.T_mult
        share = position / length
        cosine = cosine_of_pi(share.numerator, share.denominator)
        return self.eta_min + (base - self.eta_min) * (1.0 + cosine) / 2.0

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return `rate`."""
        return self.rate(base, n, group)

    def state_dict(self) -> dict[str, Any]:
        """Return what every schedule remembers, and the fraction of a step."""
        return {**super().state_dict(), "fraction": float(self._fraction)}

    def load_state_dict(self, state_dict: Any) -> None:
        """Load what `state_dict` returned: the settings too, and the optimizer's rates."""
        super().load_state_dict(state_dict)
        self._fraction = Fraction(state_dict.get("fraction", 0.0))


class OneCycleLR(LRScheduler):
    """The rate rises to `max_lr` and falls far below its start, and the momentum goes the other way.

    Parameters
    ----------
    optimizer : Optimizer
        As in `LRScheduler`. The cycle decides on its rates, and with `cycle_momentum` on its momentum or first beta.
    max_lr : float or list of float
        The highest rate; the first one is ``max_lr / div_factor``, the last one a `final_div_factor`-th of that.
    total_steps : int, optional
        The length of the cycle; or `epochs` and `steps_per_epoch`, whose product it is.
    pct_start : float
        Which share of the cycle rises.
    anneal_strategy : str
        "cos" or "linear".
    cycle_momentum, base_momentum, max_momentum
        Whether and between which values the momentum moves.
    three_phase : bool
        Fall as long as it rose, and then on to the last rate; without, fall there at once.

    Raises
    ------
    OptionError
        If a setting is out of its range.
    StateError
        If there are more steps than the cycle has.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = fl.optim.lr_scheduler.OneCycleLR(sgd, max_lr=1.0, total_steps=10, pct_start=0.5)
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> [round(rate, 3) for rate in rates], sgd.param_groups[0]["momentum"]
    ([0.04, 0.181, 0.52, 0.859, 1.0], 0.85)
    """

    _settings = ("total_steps", "pct_start", "anneal_strategy", "cycle_momentum", "three_phase")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            super().__init__(optimizer)  # which says what is wrong
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise OptionError(
                    "A cycle has a length. Got neither total_steps nor epochs and steps_per_epoch. Give total_steps."
                )
            total_steps = steps_of("epochs", epochs) * steps_of("steps_per_epoch", steps_per_epoch)
        self.optimizer = optimizer
        self.total_steps, self.pct_start, self.anneal_strategy = total_steps, pct_start, anneal_strategy
        self.cycle_momentum, self.three_phase = cycle_momentum, three_phase
        self._check()
        for option, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if factor_of(option, value) == 0.0:
                raise OptionError(f"{option} is above 0. Got {value!r}. Write it as in {option}=25.")
        highest = self._each("max_lr", max_lr)
        momenta = zip(
            self._each("base_momentum", base_momentum), self._each("max_momentum", max_momentum), strict=True
        )
        for group, rate, (low, high) in zip(optimizer.param_groups, highest, momenta, strict=True):
            first = rate / div_factor
            group |= {"lr": first, "initial_lr": first, "max_lr": rate, "min_lr": first / final_div_factor}
            if self.cycle_momentum:
                group |= {"max_momentum": high, "base_momentum": low}
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.total_steps = steps_of("total_steps", self.total_steps)
        self.pct_start = factor_of("pct_start", self.pct_start, most=1.0)
        check_option("anneal_strategy", self.anneal_strategy, ("cos", "linear"))
        self.three_phase = check_switch("three_phase", self.three_phase)
        self.cycle_momentum = check_switch("cycle_momentum", self.cycle_momentum)
        if self.cycle_momentum and not {"momentum", "betas"} & set(self.optimizer.defaults):
            raise OptionError(
                f"A cycle moves the momentum too. Got {type(self.optimizer).__name__}, which has none. "
                "Use cycle_momentum=False."
            )

    def _each(self, option: str, value: Any) -> list[float]:
        """Return an option of the groups: one for all, or one a group."""
        count = len(self.optimizer.param_groups)
        several = list(value) if isinstance(value, list | tuple) else [value] * count
        if len(several) != count:
            raise OptionError(
                f"{option} is one number, or one a group. Got {len(several)} for {count} groups. Give one for all."
            )
        return [factor_of(option, one) for one in several]

    def _phase(self, n: int) -> tuple[Any, ...]:
        """Return between which entries of a group step `n` lies, of rate and momentum, and how far along."""
        rise = float(self.pct_start * self.total_steps) - 1
        up: tuple[Any, ...] = (rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        phases: list[tuple[Any, ...]] = [
            up,
            (self.total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"),
        ]
        if self.three_phase:
            back = float(2 * self.pct_start * self.total_steps) - 2
            phases = [
                up,
                (back, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (self.total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        start = 0.0
        while len(phases) > 1 and n > phases[0][0]:
            start = phases.pop(0)[0]
        end, *places = phases[0]
        return *places, (n - start) / (end - start) if end != start else 1.0

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        exact = Fraction(share)
        return end + (start - end) / 2.0 * (1.0 + cosine_of_pi(exact.numerator, exact.denominator))

    def _apply(self) -> None:
        if self.last_epoch > self.total_steps:
            raise StateError(
                f"A cycle has as many steps as it was made for. Got step {self.last_epoch} of {self.total_steps}. "
                "Give total_steps all the steps of the training."
            )
        super()._apply()
        if not self.cycle_momentum:
            return
        *_, start, end, share = self._phase(self.last_epoch)
        for group in self.optimizer.param_groups:
            if start in group:  # and was not added later
                momentum = self._between(group[start], group[end], share)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def rate(self, base: float, n: int, group: int) -> float:
        """Return the rate of step `n` of the cycle."""
        entries = self.optimizer.param_groups[group]
        start, end, _, _, share = self._phase(n)
        if start not in entries or end not in entries:
            raise OptionError(
                f"A cycle knows the highest rate of each group. Got group {group}, which was added later. "
                "Create the schedule after all groups."
            )
        return self._between(entries[start], entries[end], share)

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return `rate`: a cycle says the rate whatever others have set."""
        return self.rate(base, n, group)

    def state_dict(self) -> dict[str, Any]:
        """Return what every schedule remembers, and between what rates and momenta the cycle moves."""
        names = ("max_lr", "min_lr", "max_momentum", "base_momentum")
        groups = self.optimizer.param_groups
        return {**super().state_dict(), "cycle": [{k: g[k] for k in names if k in g} for g in groups]}

    def load_state_dict(self, state_dict: Any) -> None:
        """Load what `state_dict` returned: the settings too, and the optimizer's rates."""
        super().load_state_dict(state_dict)
        for group, entries in zip(self.optimizer.param_groups, state_dict.get("cycle", ()), strict=False):
            group.update(entries)
