"""How are weights updated? Optimizers, schedules, clipping, and files that keep a training state."""

from floatlab.optim import lr_scheduler
from floatlab.optim.adam import SGD, Adam, AdamW, NAdam
from floatlab.optim.adaptive import Adadelta, Adagrad, RMSprop
from floatlab.optim.checkpoint import load_state, save_state
from floatlab.optim.clipping import clip_grad_norm_, clip_grad_value_, grad_norm
from floatlab.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearWarmup, LRScheduler, StepLR
from floatlab.optim.optimizer import Optimizer, require_all
from floatlab.optim.stopping import EarlyStopping
from floatlab.optim.variants import Adamax, Lion, RAdam

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineAnnealingLR",
    "EarlyStopping",
    "LRScheduler",
    "LambdaLR",
    "LinearWarmup",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "grad_norm",
    "load_state",
    "lr_scheduler",
    "require_all",
    "save_state",
]
