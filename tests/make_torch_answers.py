"""Record what PyTorch answers to the questions of the tests, in tests/data/torch_answers.npz.

    python tests/make_torch_answers.py          # all of the first file
    python tests/make_torch_answers.py tensor   # what is new in the tests of a part, in torch_answers_tensor.npz

needs PyTorch, NumPy, ml_dtypes, pytest and hypothesis. It runs the tests that ask PyTorch; each of them compares
floatlab with the fresh answer, and the answers are kept only if all pass. The version of PyTorch is kept with
them. Run it when a test asks something new.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch_answers

PARTS = {
    "": (
        "autograd/test_autograd_ops.py",
        "amp/test_amp_autocast.py",
        "amp/test_amp_scaler.py",
        "memory/test_memory.py",
        "nn/test_nn_torch.py",
        "optim/test_optim_torch.py",
        "experiments/test_training_claims.py",
    ),
    "nn": ("nn/test_nn_torch.py", "nn/test_nn_ops.py"),
    "ints": ("block_formats/test_integers_torch.py",),
    "pooling": ("nn/test_nn_pooling.py",),
    "tensor": ("autograd/test_autograd_ops.py", "autograd/test_autograd_torch.py"),
    "train": (
        "optim/test_optim_schedules.py",
        "nn/test_nn_pooling.py",
        "nn/test_nn_cells.py",
        "autograd/test_autograd_data_array.py",
        "autograd/test_autograd_further_ops.py",
    ),
    "optim": ("optim/test_optim_torch.py", "optim/test_optim_schedules.py", "amp/test_amp_grad_scaler.py"),
}


def main() -> int:
    """Run the tests with a recorder in place, and save."""
    if torch_answers.torch is None:
        print("PyTorch answers, so it has to be installed. Got none. Use pip install torch.")
        return 1
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    file = torch_answers.FILE.with_stem(f"{torch_answers.FILE.stem}{'_' if part else ''}{part}")
    file.unlink(missing_ok=True)
    others = torch_answers.recorded() if part else {}
    torch_answers.recording = {}
    here = Path(__file__).parent
    asking = [str(here / f) for f in PARTS[part]]
    failed = pytest.main(["-o", "addopts=", "-q", "-p", "no:cacheprovider", *asking])
    if failed:
        print("Nothing was written: a test has failed.")
        return int(failed)
    found = {name: answer for name, answer in torch_answers.recording.items() if name not in others}
    torch_answers.save(found, torch_answers.torch.__version__, file)
    print(f"{len(found)} answers, {file.stat().st_size / 1024:.0f} KiB in {file.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
