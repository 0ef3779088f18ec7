"""How does training in low precision work? Autocast, policies, loss scaling and fp8 recipes."""

from floatlab.amp.casting import (
    AUTOCAST_TABLE,
    autocast,
    custom_bwd,
    custom_fwd,
    get_autocast_format,
    is_autocast_enabled,
)
from floatlab.amp.fp8 import CurrentScaling, DelayedScaling, Recipe, Unscaled, fp8_autocast
from floatlab.amp.grad_scaler import GradScaler
from floatlab.amp.policy import POLICIES, Policy, PolicyModule, get_policy
from floatlab.amp.presets import PRESETS, ScalingRule

__all__ = [
    "AUTOCAST_TABLE",
    "POLICIES",
    "PRESETS",
    "CurrentScaling",
    "DelayedScaling",
    "GradScaler",
    "Policy",
    "PolicyModule",
    "Recipe",
    "ScalingRule",
    "Unscaled",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "fp8_autocast",
    "get_autocast_format",
    "get_policy",
    "is_autocast_enabled",
]
