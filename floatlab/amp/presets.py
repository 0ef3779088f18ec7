"""How does a loss scale start and move, and how do the frameworks differ in it? A table of rules."""

from __future__ import annotations

import math
from dataclasses import dataclass

from floatlab.errors import OptionError
from floatlab.optim.parameters import is_number, is_whole

__all__ = ["PRESETS", "ScalingRule"]


@dataclass(frozen=True)
class ScalingRule:
    """How a loss scale starts and moves; the parameters of `GradScaler`.

    Parameters
    ----------
    init_scale : float
        The first scale.
    growth_factor, backoff_factor : float
        What the scale is multiplied by after `growth_interval` good steps, and after a bad one.
    growth_interval : int
        How many steps without an infinity or a NaN it takes to grow.
    min_scale, max_scale : float
        The scale never leaves this range; fp32's largest power of two, 2^127, is a limit in any case.
    hysteresis : int
        How many bad steps it takes before the scale falls; counted anew each time it grows (not after a
        good step).
    origin : str
        Where the rule comes from.
    """

    init_scale: float = 2.0**16
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000
    min_scale: float = 0.0
    max_scale: float = math.inf
    hysteresis: int = 1
    origin: str = "torch.amp.GradScaler"

    def __post_init__(self) -> None:
        for option in ("growth_interval", "hysteresis"):
            if not is_whole(getattr(self, option)):
                raise OptionError(
                    f"{option} is a whole number of steps. Got {getattr(self, option)!r}. Write it as in {option}=2."
                )
        for option in ("init_scale", "growth_factor", "backoff_factor", "min_scale", "max_scale"):
            if not is_number(getattr(self, option)):
                raise OptionError(
                    f"{option} is a number. Got {getattr(self, option)!r}. Write it as in {option}=0.5."
                )
        for option, holds, rule in (
            ("min_scale", self.min_scale >= 0.0, "is at least 0"),
            ("max_scale", self.min_scale <= self.max_scale, "is at least min_scale"),
            ("init_scale", 0.0 < self.init_scale <= 2.0**127, "lies above 0, up to 2**127"),
            ("growth_factor", 1.0 < self.growth_factor < math.inf, "is above 1, and finite"),
            ("backoff_factor", 0.0 < self.backoff_factor < 1.0, "lies between 0 and 1"),
            ("growth_interval", self.growth_interval >= 1, "is at least 1"),
            ("hysteresis", self.hysteresis >= 1, "is at least 1"),
            (
                "init_scale",
                self.min_scale <= self.init_scale <= self.max_scale,
                f"lies between min_scale={self.min_scale:g} and max_scale={self.max_scale:g}",
            ),
        ):
            if not holds:
                raise OptionError(
                    f"{option} {rule}. Got {getattr(self, option)!r}. The defaults are PyTorch's."
                )


#: How the frameworks' loss scales differ. All halve and double; all skip the step when a gradient is not finite.
PRESETS: dict[str, ScalingRule] = {
    "torch": ScalingRule(),
    "keras": ScalingRule(2.0**15, origin="keras.optimizers.LossScaleOptimizer (Keras 3)"),
    "tf_keras": ScalingRule(2.0**15, min_scale=1.0, origin="tf.keras.mixed_precision.LossScaleOptimizer"),
    "jmp": ScalingRule(
        2.0**15, min_scale=1.0, origin="jmp.DynamicLossScale (2**15 as its documentation starts)"
    ),
    "apex": ScalingRule(2.0**16, max_scale=2.0**24, origin="apex.amp.scaler.LossScaler"),
    "megatron": ScalingRule(
        2.0**32, growth_interval=1000, min_scale=1.0, hysteresis=2, origin="Megatron-LM DynamicGradScaler"
    ),
}
