"""Which tensors are in a file of PyTorch? Those that an installed PyTorch finds there, and nothing that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from floatlab.errors import DataError
from floatlab.inspection.source import Array, Source, size_of_file

__all__ = ["is_torch_tensor", "of_torch", "read_torch"]

_DEEPEST = 32


def read_torch(path: Path) -> list[Source]:
    """Return the tensors of a .pt or .pth file, named by the keys on the way to them.

    PyTorch reads it with ``weights_only=True``, which makes tensors and plain containers and runs nothing.

    Raises
    ------
    DataError
        If there is no PyTorch, or it refuses the file.
    """
    size_of_file(path)
    try:
        import torch
    except ImportError:
        raise DataError(
            f"PyTorch reads its own files. Got {path}, and PyTorch is not installed. "
            "Install it, or save the tensors as .safetensors."
        ) from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # every kind of damage has its own error
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise DataError(
            f"A .pt file holds tensors and plain containers. Got {path}: {reason} "
            "Save model.state_dict(), and never load code that you don't trust."
        ) from None
    return [of_torch(name, tensor) for name, tensor in _tensors("", content, 0)]


def is_torch_tensor(x: Any) -> bool:
    """Whether this is a tensor of PyTorch, which need not be imported to know that.

    >>> is_torch_tensor(1.0)
    False
    """
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def of_torch(name: str, tensor: Any) -> Source:
    """Return a tensor of PyTorch as a source; its floats of 16 and fewer bits become float32 part by part."""
    import torch

    dtype, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
    dense = tensor.detach()
    if not dense.is_floating_point() or dense.layout != torch.strided or dtype.endswith("_x2"):
        return Source(name, dtype, shape, None)
    flat = dense.cpu().contiguous().reshape(-1)

    def read(start: int, stop: int) -> Array:
        part = flat[start:stop]
        wide = part if part.dtype == torch.float64 else part.float()
        return np.asarray(wide.numpy())

    return Source(name, dtype, shape, read)


def _tensors(name: str, content: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if is_torch_tensor(content):
        yield name, content
    elif depth < _DEEPEST and isinstance(content, Mapping | list | tuple):
        pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in pairs:
            yield from _tensors(f"{name}.{key}" if name else str(key), value, depth + 1)
