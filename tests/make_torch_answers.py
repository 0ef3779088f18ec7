"""Record what PyTorch answers to the questions of the tests, in tests/data/torch_answers.npz.

    python tests/make_torch_answers.py

needs PyTorch, NumPy, ml_dtypes, pytest and hypothesis. It runs the tests that ask PyTorch; each of them compares
floatlab with the fresh answer, and the answers are kept only if all pass. The version of PyTorch is kept with
them. Run it when a test asks something new.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch_answers

ASKING = (
    "test_autograd_ops.py",
    "test_amp_autocast.py",
    "test_amp_scaler.py",
    "test_memory.py",
    "test_nn_torch.py",
    "test_optim_torch.py",
    "test_training_claims.py",
)


def main() -> int:
    """Run the tests with a recorder in place, and save."""
    if torch_answers.torch is None:
        print("PyTorch answers, so it has to be installed. Got none. Use pip install torch.")
        return 1
    torch_answers.recording = {}
    here = Path(__file__).parent
    failed = pytest.main(["-o", "addopts=", "-q", "-p", "no:cacheprovider", *(str(here / f) for f in ASKING)])
    if failed:
        print("Nothing was written: a test has failed.")
        return int(failed)
    torch_answers.save(torch_answers.recording, torch_answers.torch.__version__)
    size = torch_answers.FILE.stat().st_size
    print(f"{len(torch_answers.recording)} answers, {size / 1024:.0f} KiB in {torch_answers.FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
