"""What PyTorch answers, recorded: so that floatlab is held against it where it is not installed, too.

A test that compares with PyTorch asks by a name, and says how to find the answer::

    z, gradient = answers("relu", lambda torch: ..., x)

Without PyTorch it gets what `tests/data/torch_answers.npz` holds. With PyTorch the question is asked again, and
what comes back must still be what was recorded. So nothing is written twice, and no test is skipped.

`python tests/make_torch_answers.py` writes the file, in an environment with PyTorch; with the names of tests and of a
part, ``torch_answers_PART.npz``, for these alone. A file holds one run of bytes and a JSON text that says which array
lies where; nothing in it is pickled. Of the inputs a checksum is kept: a
recorded answer is the answer to these numbers and no others.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
except ImportError:
    torch = None
else:
    torch.set_num_threads(1)  # the tensors are tiny, and threads would wait for each other

FILE = Path(__file__).parent / "data" / "torch_answers.npz"
AGAIN = "Run python tests/make_torch_answers.py with PyTorch installed."

recording: dict[str, tuple[int, list[np.ndarray]]] | None = (
    None  # make_torch_answers.py puts a dictionary here
)
_read: dict[str, tuple[int, list[np.ndarray]]] = {}


def answers(name: str, ask: Callable[[Any], Any], *inputs: Any) -> Any:
    """Return PyTorch's answer to a question: one array, or a list where there are several.

    `ask` is given the torch module and returns tensors, arrays or numbers. `inputs` are the arrays that the
    question is about.
    """
    checksum = _checksum(inputs)
    if torch is not None:
        found = ask(torch)
        fresh = [_array(x) for x in (found if isinstance(found, list | tuple) else [found])]
        if recording is not None:
            assert name not in recording, f"two questions are called {name!r}"
            recording[name] = (checksum, fresh)
            return fresh if len(fresh) > 1 else fresh[0]
    assert name in recorded(), f"{name!r} was never recorded. {AGAIN}"
    recorded_checksum, kept = recorded()[name]
    assert recorded_checksum == checksum, f"{name!r} was recorded for other inputs. {AGAIN}"
    if torch is not None:
        assert len(fresh) == len(kept), f"{name!r} has other answers now. {AGAIN}"
        for new, old in zip(fresh, kept, strict=True):
            assert (new.dtype, new.shape) == (old.dtype, old.shape), (
                f"{name!r} has other answers now. {AGAIN}"
            )
            if new.dtype.kind not in "fc":
                assert np.array_equal(new, old), f"{name!r} has other answers now. {AGAIN}"
                continue
            # PyTorch takes sums in an order that depends on the processor
            np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6, err_msg=f"{name!r}: {AGAIN}")
    return kept if len(kept) > 1 else kept[0]


def values(x: Any) -> np.ndarray:
    """Return a copy of an array, or of PyTorch's tensor, as an array."""
    return x.numpy().copy() if hasattr(x, "numpy") else np.array(x)


def recorded() -> dict[str, tuple[int, list[np.ndarray]]]:
    """Return everything that is recorded, by the names of the questions."""
    if not _read:
        for path in sorted(FILE.parent.glob(f"{FILE.stem}*.npz")):
            with np.load(path, allow_pickle=False) as file:
                content, index = file["content"], json.loads(str(file["index"]))
            for name, (checksum, arrays) in index["answers"].items():
                assert name not in _read, f"{name!r} is recorded twice, in {path.name} too"
                _read[name] = (checksum, [_cut(content, *where) for where in arrays])
    return _read


def _cut(content: np.ndarray, dtype: str, shape: list[int], start: int, size: int) -> np.ndarray:
    return np.frombuffer(content[start : start + size].tobytes(), dtype).reshape(shape)


def save(found: dict[str, tuple[int, list[np.ndarray]]], version: str, file: Path = FILE) -> None:
    """Write what was recorded."""
    content, index = b"", {}
    for name, (checksum, arrays) in sorted(found.items()):
        places = []
        for array in arrays:
            data = np.ascontiguousarray(array).tobytes()
            places.append([array.dtype.newbyteorder("<").str, list(array.shape), len(content), len(data)])
            content += data
        index[name] = (checksum, places)
    file.parent.mkdir(exist_ok=True)
    text = json.dumps({"torch": version, "answers": index}, separators=(",", ":"))
    np.savez_compressed(file, content=np.frombuffer(content, np.uint8), index=np.array(text))


def _array(x: Any) -> np.ndarray:
    if torch is not None and isinstance(x, torch.Tensor):
        x = x.detach()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy().copy()
    return np.array(x)


def _checksum(inputs: tuple[Any, ...]) -> int:
    total = 0
    for x in inputs:
        total = zlib.crc32(np.ascontiguousarray(x).tobytes(), total)
    return total
