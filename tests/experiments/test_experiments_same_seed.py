"""One seed on three GPUs: three different networks by bits, the same one by what it says; and each repeats itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from floatlab.experiments.same_seed import UNITS, compared, trained

ROOT = Path(__file__).parents[2]
SEED = 23  # on which no prediction was looked at


@pytest.fixture(scope="module")
def found():
    return compared(SEED, epochs=3)


def test_each_unit_has_weights_of_its_own(found):
    assert list(found["weights_sha256"]) == list(UNITS)
    assert len(set(found["weights_sha256"].values())) == 3
    assert found["differing"] > 0.5


def test_no_image_of_the_test_set_is_taken_for_something_else(found):
    assert found["changed"] == 0 and len(set(found["accuracy"].values())) == 1
    assert found["distance"] < 0.01
    assert found["accuracy"]["h100"] > 0.9


def test_each_repeats_itself_bit_for_bit_with_one_thread_and_with_four(found):
    script = f"from floatlab.experiments.same_seed import trained; print(trained('h100', {SEED}, 1).weights_sha256)"
    hashes = {trained("h100", SEED, 1).weights_sha256}
    for threads in ("1", "4"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        hashes.add(run.stdout.strip())
    assert len(hashes) == 1


def test_without_a_unit_it_is_another_network_still():
    assert trained(None, SEED, 1).weights_sha256 != trained("h100", SEED, 1).weights_sha256
