"""Which schedules are there? Those of torch.optim.lr_scheduler, and a warm-up."""

from floatlab.optim.lr_scheduler.base import LRScheduler
from floatlab.optim.lr_scheduler.curves import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from floatlab.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from floatlab.optim.lr_scheduler.plans import ChainedScheduler, LinearWarmup, SequentialLR
from floatlab.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "LinearWarmup",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
