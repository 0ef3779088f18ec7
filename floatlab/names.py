"""Which of PyTorch's names are there at ``floatlab.``, and why will some never be?

What makes or joins tensors lies in the room `autograd`, which is loaded when such a name is first used; so are the few
names of other rooms.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["OF_ROOMS", "PLACES", "device", "find", "load", "save"]


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Save a model's or an optimizer's ``state_dict()``, or numbers, lists and dictionaries of arrays, to a file.

    Its name ends in ``.safetensors`` or ``.npz``. `optim.save_state` saves several parts at once, and loads them all or
    none.

    >>> import floatlab as fl, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> fl.save(fl.nn.Linear(2, 1, rng=0).state_dict(), path)
    >>> model = fl.nn.Linear(2, 1)
    >>> model.load_state_dict(fl.load(path))
    """
    import_module("floatlab.optim").save_state(path, state=state)


def load(path: str | os.PathLike[str], map_location: Any = None, weights_only: bool = True) -> Any:
    """Return what `save` has written. Nothing in such a file is ever executed, and there is no device to map to."""
    return import_module("floatlab.optim").load_state(path)["state"]


def device(name: str) -> str:
    """Return the name of a device, which is accepted wherever PyTorch's code passes one, and means nothing here."""
    import_module("floatlab.autograd.devices").check_device("device", name)
    return str(name)


#: In which files of autograd the names of tensors are, which are loaded where one is first used.
_OF_TENSORS = {
    "floatlab.autograd": """
        Tensor cat enable_grad inference_mode is_grad_enabled manual_seed maximum minimum no_grad
        set_grad_enabled stack where
    """,
    "floatlab.autograd.creation": """
        arange as_tensor empty eye from_numpy full full_like multinomial ones ones_like rand rand_like randint randn
        randn_like
        randperm tensor zeros zeros_like
    """,
    "floatlab.autograd.functions": """
        abs allclose amax amin argmax argmin argsort bmm chunk clamp clip clone equal
        flatten flip gather index_select isfinite
        isinf isnan log_softmax masked_fill max min mm neg permute pow relu reshape softmax sort split squeeze
        topk transpose tril triu unbind unsqueeze
    """,
}
#: Where each of them is.
PLACES = {name: place for place, names in _OF_TENSORS.items() for name in names.split()}
#: Names of rooms that are loaded where one of them is first used.
OF_ROOMS = {
    "inspect": "floatlab.inspection",
    "BlockArray": "floatlab.block_formats.block_array",
    "BlockFormat": "floatlab.block_formats.block_format",
    "compare_rules": "floatlab.block_formats.differences",
    "MatrixUnit": "floatlab.matrix_units.unit",
    "get_unit": "floatlab.matrix_units.names",
    "units": "floatlab.matrix_units.names",
    "IntArray": "floatlab.block_formats.integer_array",
    "IntFormat": "floatlab.block_formats.integer_format",
    "hadamard": "floatlab.block_formats.hadamard",
    "quantize_int": "floatlab.block_formats.integers",
}
#: PyTorch's names of types: formats, and NumPy's integers and truth values.
_TYPES = {
    **dict.fromkeys(("float", "float32"), "float32"),
    **dict.fromkeys(("half", "float16"), "float16"),
    **dict.fromkeys(("double", "float64"), "float64"),
    "bfloat16": "bfloat16",
    **{name: name for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")},
}
_WHOLE = {
    "long": "int64",
    "int64": "int64",
    "int": "int32",
    "int32": "int32",
    "uint8": "uint8",
    "bool": "bool_",
}
#: What there will never be, and why.
_NEVER = {
    **dict.fromkeys(
        ("compile", "jit", "fx", "_dynamo"),
        "NumPy computes, and there is nothing to compile. Leave the call out",
    ),
    **dict.fromkeys(
        ("cuda", "mps", "xpu", "backends"),
        "formats are emulated on the CPU, one way on every machine. Leave it out; "
        'x.to("cuda") and x.cuda() are accepted',
    ),
    **dict.fromkeys(("distributed", "multiprocessing"), "it trains in one process. Leave it out"),
    **dict.fromkeys(
        ("utils", "hub", "onnx"),
        "it is a laboratory of float formats. Batches come from fl.data, "
        "figures of training from fl.telemetry",
    ),
    **dict.fromkeys(("quantization", "ao"), "every format is at hand. Use fl.quantize, or x.to(format)"),
    **dict.fromkeys(
        ("complex64", "complex128", "sparse"),
        "it computes with dense arrays of real numbers. Use two tensors",
    ),
}


def find(name: str) -> tuple[Any, bool]:
    """Return what stands behind a name of PyTorch's, and whether it may be kept as an attribute.

    Raises
    ------
    AttributeError
        If nothing does; where nothing ever will, it says why, and what to write.
    """
    if name in OF_ROOMS:
        return getattr(import_module(OF_ROOMS[name]), name), True
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name), True
    if name in _TYPES:
        return import_module("floatlab.formats").get_format(_TYPES[name]), False
    if name in _WHOLE:
        return getattr(import_module("numpy"), _WHOLE[name]), False
    reason = _NEVER.get(name)
    text = f"module 'floatlab' has no attribute {name!r}"
    raise AttributeError(f"{text}, and never will: {reason}." if reason else text)
