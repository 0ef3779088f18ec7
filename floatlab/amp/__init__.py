"""How does training in low precision work? Autocast, policies, loss scaling, recipes for fp8 and blocks, schedules."""

from floatlab.amp.block_operands import BlockRecipe, BlockScaling
from floatlab.amp.block_products import block_autocast
from floatlab.amp.block_recipes import MXFP4, MXFP6, MXFP8, NVFP4, Tiles
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
from floatlab.amp.int8_recipe import Int8
from floatlab.amp.policy import POLICIES, Policy, PolicyModule, get_policy
from floatlab.amp.presets import PRESETS, ScalingRule
from floatlab.amp.schedule import PrecisionSchedule

__all__ = [
    "AUTOCAST_TABLE",
    "MXFP4",
    "MXFP6",
    "MXFP8",
    "NVFP4",
    "POLICIES",
    "PRESETS",
    "BlockRecipe",
    "BlockScaling",
    "CurrentScaling",
    "DelayedScaling",
    "GradScaler",
    "Int8",
    "Policy",
    "PolicyModule",
    "PrecisionSchedule",
    "Recipe",
    "ScalingRule",
    "Tiles",
    "Unscaled",
    "autocast",
    "block_autocast",
    "custom_bwd",
    "custom_fwd",
    "fp8_autocast",
    "get_autocast_format",
    "get_policy",
    "is_autocast_enabled",
]
