"""By how much is the loss multiplied? Loss scaling, with the state machine of torch.amp.GradScaler.

A gradient below half of a format's smallest subnormal becomes zero, and no optimizer brings it back. The
chain rule is linear: the loss times S gives every gradient times S, which moves all of them up by log2(S)
binades before they are rounded to the narrow format. Before the update they are multiplied by 1/S, in
fp32. With S a power of two neither multiplication rounds, so that nothing changes but what would have
been lost.

How the frameworks' loss scales differ is data: `floatlab.amp.presets`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.amp.loss_scale import ScaleState, float32, read_saved
from floatlab.amp.positional import merge_positional
from floatlab.amp.presets import PRESETS, ScalingRule
from floatlab.amp.unscaling import check_unscalable, is_finite, is_wide, unscale
from floatlab.autograd import Tensor
from floatlab.autograd.devices import check_device, is_device
from floatlab.errors import OptionError, ScalerError, check_option, check_switch
from floatlab.formats import get_format
from floatlab.optim import Optimizer
from floatlab.optim.parameters import is_number
from floatlab.rounding.inputs import plain_option

__all__ = ["GradScaler"]

_FP32 = get_format("float32")
_DEFAULTS = {**dataclasses.asdict(ScalingRule()), "enabled": True}
_POSITIONAL = ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled")


@dataclass
class _Progress:
    """Where one optimizer stands between two updates."""

    optimizer: Optimizer
    stage: str = "ready"  # then "unscaled", then "stepped"
    found_inf: bool | None = None  # None: nothing has been checked yet


class GradScaler:
    """Dynamic loss scaling.

    The algorithm::

        scale, tracker = init_scale, 0
        each iteration:
            scaler.scale(loss).backward()       # every gradient is scale times too large
            scaler.unscale_(optimizer)          # gradients *= float32(1 / scale); found_inf = any not finite
                                                # (optional, to clip; otherwise step() does it)
            scaler.step(optimizer)              # optimizer.step(), unless found_inf
            scaler.update():
                if any optimizer's found_inf:
                    scale, tracker = scale * backoff_factor, 0
                else:
                    tracker = tracker + 1
                    if tracker == growth_interval:
                        scale, tracker = scale * growth_factor (if that is finite), 0

    Beyond PyTorch's: the scale stays within [min_scale, max_scale]; with hysteresis h it takes h bad
    steps since it last grew before it falls; and with ``dynamic=False`` `update` leaves it alone (bad
    steps are still skipped).

    Parameters
    ----------
    init_scale, growth_factor, backoff_factor, growth_interval, enabled
        See `ScalingRule`; in this order also by position, after the name of a device or without, as in
        ``GradScaler("cuda", 1024.0)``. If `enabled` is False, every method passes through, and the scale is 1.
    device : str, optional
        "cuda" or another one: accepted because PyTorch has it; it means nothing here.
    min_scale, max_scale, hysteresis
        See `ScalingRule`; by name.
    dynamic : bool
        If False, the scale never moves; see also `static`.

    Raises
    ------
    OptionError
        If a parameter is out of its range.
    ScalerError
        If the methods are called out of order, a gradient is in a format too narrow to be unscaled in, or the scale has
        sunk so low that its inverse is no fp32 number.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([1.0], requires_grad=True)
    >>> sgd, scaler = fl.optim.SGD([w], lr=1.0), GradScaler(init_scale=8.0)
    >>> scaler.scale((w * 0.25).sum()).backward()
    >>> w.grad.data
    array([2.], dtype=float32)
    >>> scaler.step(sgd)
    >>> scaler.update()
    >>> w.data, scaler.get_scale()
    (array([0.75], dtype=float32), 8.0)
    """

    def __init__(
        self,
        *given: Any,
        device: str | None = None,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
        min_scale: float = 0.0,
        max_scale: float = math.inf,
        hysteresis: int = 1,
        dynamic: bool = True,
    ) -> None:
        if given and isinstance(given[0], str):
            device, *given = given  # type: ignore[assignment]
            if not is_device(device):
                raise OptionError(
                    f'init_scale is a number. Got {device!r}. Use GradScaler.preset("keras") for a name.'
                )
        if device is not None:
            check_device("device", device)
        named = {
            "init_scale": init_scale,
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": growth_interval,
            "enabled": enabled,
        }
        options = merge_positional("GradScaler", _POSITIONAL, given, named, _DEFAULTS)
        enabled = check_switch("enabled", options.pop("enabled"))
        dynamic = check_switch("dynamic", dynamic)
        limits = {"min_scale": min_scale, "max_scale": max_scale, "hysteresis": hysteresis}
        rule = ScalingRule(**{option: plain_option(value) for option, value in {**options, **limits}.items()})
        self._enabled = enabled
        self._state = ScaleState(
            float32(rule.init_scale),
            rule.growth_factor,
            rule.backoff_factor,
            rule.growth_interval,
            min_scale=rule.min_scale,
            max_scale=rule.max_scale,
            hysteresis=rule.hysteresis,
            _hysteresis_left=rule.hysteresis,
            dynamic=dynamic,
        )
        self._has_scaled = False
        self._last_skipped = False
        self._progress: dict[int, _Progress] = {}

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GradScaler:
        """Return a scaler that behaves as a framework's does: one of `PRESETS`, with `changes`.

        >>> GradScaler.preset("megatron", init_scale=256.0).get_scale()
        256.0
        """
        check_option("preset", name, PRESETS)
        options = dataclasses.asdict(PRESETS[name])
        del options["origin"]
        for option in changes:
            check_option("A change of a preset", option, (*options, "enabled", "dynamic"))
        return cls(**{**options, **changes})

    @classmethod
    def static(cls, scale: float) -> GradScaler:
        """Return a scaler whose scale is fixed; steps with an infinity or a NaN are skipped all the same.

        >>> GradScaler.static(1024.0).get_scale()
        1024.0
        """
        return cls(scale, dynamic=False)

    # -- the four calls of an iteration ------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """Multiply a tensor, or each tensor of a (nested) list, tuple or iterable, by the scale.

        A loss in a narrower format than fp32 is taken to fp32 first: 65536 itself is an infinity in fp16.
        """
        if not self._enabled:
            return outputs
        self._has_scaled = True
        if isinstance(outputs, Tensor):
            wide = outputs if is_wide(outputs.format) else outputs.to(_FP32)
            return wide * self._state.scale
        if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes, np.ndarray)):
            scaled = [self.scale(output) for output in outputs]
            return tuple(scaled) if isinstance(outputs, tuple) else scaled
        raise ScalerError(
            f"scale() takes a Tensor or an iterable of them. Got {type(outputs).__name__}. Pass the loss."
        )

    def unscale_(self, optimizer: Optimizer) -> None:
        """Multiply the gradients of `optimizer` by ``float32(1 / scale)``, in place; look for infinities.

        Call it before clipping; `step` calls it if you have not. The gradient of a low-precision weight that
        has a master copy becomes an fp32 tensor, so that what the scale has saved is not lost again.
        """
        if not self._enabled:
            return
        _check_optimizer("unscale_()", optimizer)
        self._require_scaled("unscale_()")
        progress = self._progress.setdefault(id(optimizer), _Progress(optimizer))
        if progress.stage != "ready":
            done = "unscale_()" if progress.stage == "unscaled" else "step()"
            raise ScalerError(
                f"Gradients are unscaled once, between backward and step. Got unscale_() after {done}. "
                "Call update() before the next iteration."
            )
        tensors = [p for p in optimizer.parameters() if p.grad is not None]
        if not tensors:
            raise ScalerError(
                "There must be a gradient to unscale. Got none in any of this optimizer's "
                f"{len(optimizer.parameters())} parameters. Call scaler.scale(loss).backward() first."
            )
        for p in tensors:
            check_unscalable(p, optimizer)
        inverse = float32(1.0 / self._state.scale) if self._state.scale else math.inf
        if math.isfinite(inverse):
            with np.errstate(all="ignore"):
                found = not all([unscale(p, inverse) for p in tensors])
        else:  # 0 times it would be NaN: such a step can be skipped, but not taken
            found = not all(map(is_finite, tensors))
            if not found:
                raise ScalerError(
                    "A loss scale is taken off by its inverse in fp32. Got one that has sunk to "
                    f"{self._state.scale!r} in {self._state.skipped_steps} skipped steps. Find what makes the "
                    "gradients infinite or NaN at every scale, or set min_scale=1."
                )
        progress.found_inf, progress.stage = found, "unscaled"

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Unscale if that has not been done, then call ``optimizer.step()`` unless a gradient is not finite.

        Returns what ``optimizer.step`` returns, or None where the step was skipped.
        """
        _check_optimizer("step()", optimizer)
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise ScalerError(
                "A scaled step takes no closure: gradients would have to be unscaled inside it. Got one. "
                "Compute the gradients before step()."
            )
        self._require_scaled("step()")
        progress = self._progress.setdefault(id(optimizer), _Progress(optimizer))
        if progress.stage == "stepped":
            raise ScalerError(
                "An optimizer steps once between two updates. Got step() a second time. "
                "Call update() in between."
            )
        if progress.stage == "ready":
            self.unscale_(optimizer)
        progress.stage = "stepped"
        self._last_skipped = bool(progress.found_inf)
        if self._last_skipped:
            self._state.skipped_steps += 1
            return None
        return optimizer.step(**kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Move the scale, once an iteration, after `step` of every optimizer; or set it to `new_scale`."""
        if not self._enabled:
            return
        self._require_scaled("update()")
        if new_scale is not None:
            number: Any = (
                new_scale.item() if isinstance(new_scale, Tensor) and new_scale.size == 1 else new_scale
            )
            if not (is_number(number) and 0.0 < number <= 2.0**127):
                raise OptionError(f"A scale lies above 0, up to 2**127. Got {number!r}. Use a power of two.")
            self._state.scale = float32(number)
        else:
            found = [p.found_inf for p in self._progress.values() if p.found_inf is not None]
            if not found:
                raise ScalerError(
                    "update() follows step(). Got no optimizer whose gradients were checked since the last "
                    "update(). Call scaler.step(optimizer) first."
                )
            if self._state.dynamic:
                self._state.move(any(found))
        self._progress = {}

    # -- looking at it, and saving it --------------------------------------------------------------

    def get_scale(self) -> float:
        """Return the scale; 1 if scaling is disabled."""
        return self._state.scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Return whether scaling is enabled."""
        return self._enabled

    @property
    def last_step_was_skipped(self) -> bool:
        """Whether the last `step` found an infinity or a NaN: a schedule should not count such a step."""
        return self._last_skipped

    @property
    def skipped_steps(self) -> int:
        """How many steps have been skipped so far."""
        return self._state.skipped_steps

    @property
    def growth_tracker(self) -> int:
        """How many good steps there have been in a row since the scale last moved."""
        return self._state._growth_tracker

    def get_growth_factor(self) -> float:
        """Return the growth factor."""
        return self._state.growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the growth factor."""
        self._set("growth_factor", new_factor)

    def get_backoff_factor(self) -> float:
        """Return the backoff factor."""
        return self._state.backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the backoff factor."""
        self._set("backoff_factor", new_factor)

    def get_growth_interval(self) -> int:
        """Return the growth interval."""
        return self._state.growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the growth interval."""
        self._set("growth_interval", new_interval)

    def _set(self, option: str, value: Any) -> None:
        value = plain_option(value)
        ScalingRule(**{option: value})  # which refuses one that is out of its range
        setattr(self._state, option, value)

    def state_dict(self) -> dict[str, Any]:
        """Return everything the scaler remembers, for use after `update`; empty if it is disabled."""
        return dataclasses.asdict(self._state) if self._enabled else {}

    def check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise StateError if `state_dict` is not a scaler's; change nothing."""
        if self._enabled:
            read_saved(state_dict)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned here or in PyTorch; does nothing if the scaler is disabled."""
        if self._enabled:
            self._state = read_saved(state_dict)
            self._progress = {}

    def __repr__(self) -> str:
        if not self._enabled:
            return "GradScaler(enabled=False)"
        kind = "dynamic" if self._state.dynamic else "static"
        return f"GradScaler({kind}, scale={self._state.scale:g}, skipped_steps={self._state.skipped_steps})"

    # -- checks ----------------------------------------------------------------------------------

    def _require_scaled(self, call: str) -> None:
        if not self._has_scaled:
            raise ScalerError(
                f"A scaler takes off what it has put on. Got {call} before any scale(). "
                "Call scaler.scale(loss).backward()."
            )


def _check_optimizer(call: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise OptionError(
            f"{call} is given an optimizer, whose gradients it takes. Got {type(optimizer).__name__}. "
            "Pass the optimizer."
        )
