"""What happens when we try? Frozen configurations in, tidy records out; each says first what it expects."""

from floatlab.experiments.harness.prediction import (
    LayerGradients,
    Prediction,
    lost_share,
    predict,
    predicted_cliff,
)
from floatlab.experiments.harness.rows import Rows, load
from floatlab.experiments.harness.runner import Journal, run_all
from floatlab.experiments.harness.training import TrainingConfig, first_step, train
from floatlab.experiments.registry import EXPERIMENTS, get, names, run, verdict
from floatlab.experiments.underflow import Underflow, run_underflow

__all__ = [
    "EXPERIMENTS",
    "Journal",
    "LayerGradients",
    "Prediction",
    "Rows",
    "TrainingConfig",
    "Underflow",
    "first_step",
    "get",
    "load",
    "lost_share",
    "names",
    "predict",
    "predicted_cliff",
    "run",
    "run_all",
    "run_underflow",
    "train",
    "verdict",
]
