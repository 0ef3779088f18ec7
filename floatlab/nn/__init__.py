"""What is a network made of? Layers by PyTorch's names, their functional forms, and initialisation."""

import sys
from typing import TYPE_CHECKING, NoReturn

from floatlab.nn import functional, init, utils
from floatlab.nn.attention import (
    MultiheadAttention,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from floatlab.nn.cells import GRUCell, LSTMCell, RNNCell
from floatlab.nn.containers import (
    ModuleDict,
    ModuleList,
    ParameterList,
    Residual,
    Sequential,
)
from floatlab.nn.conv import (
    Conv1d,
    Conv2d,
    ConvTranspose2d,
)
from floatlab.nn.functions import (
    ELU,
    GELU,
    SELU,
    Flatten,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Upsample,
)
from floatlab.nn.layers import (
    Dropout,
    Dropout2d,
    Embedding,
    Linear,
    PReLU,
)
from floatlab.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from floatlab.nn.module import Module
from floatlab.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    LayerNorm,
    RMSNorm,
)
from floatlab.nn.parameter import Parameter
from floatlab.nn.recurrent import (
    GRU,
    LSTM,
    RNN,
)
from floatlab.nn.windows import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterList",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Upsample",
    "functional",
    "init",
    "utils",
]

#: PyTorch's names that there will never be here, and why.
_NEVER = {
    **dict.fromkeys(
        ("DataParallel", "SyncBatchNorm", "parallel"),
        "it trains in one process. Use the model itself, and BatchNorm2d",
    ),
    **dict.fromkeys(
        ("intrinsic", "qat", "quantizable", "quantized"),
        "every layer computes in every format. Use model.to(format), or fl.amp.autocast(format)",
    ),
    **dict.fromkeys(
        (
            f"Lazy{name}{n}d"
            for name in ("BatchNorm", "Conv", "ConvTranspose", "InstanceNorm")
            for n in (1, 2, 3)
        ),
        "a seed decides on the weights when a layer is made. Use the layer without Lazy, and give its sizes",
    ),
    "LazyLinear": "a seed decides on the weights when a layer is made. Use Linear, and give its sizes",
}

if not TYPE_CHECKING:  # a type checker has the imports above, and finds a name that does not exist

    def __getattr__(name: str) -> NoReturn:
        reason = _NEVER.get(name)
        text = f"module 'floatlab.nn' has no attribute {name!r}"
        raise AttributeError(
            f"{text}, and never will: {reason}." if reason else text, name=name, obj=sys.modules[__name__]
        )
