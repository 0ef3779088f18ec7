"""The room is loaded when a name of it is first used, and not with floatlab."""

import subprocess
import sys

import floatlab as fl

NAMES = ("IntArray", "IntFormat", "hadamard", "quantize_int")


def test_importing_floatlab_does_not_load_the_room():
    program = "import sys, floatlab; print(any('block_formats' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_names_of_the_room_are_public_and_stay_what_they_are():
    for name in NAMES:
        assert name in fl.__all__ and name in dir(fl)
        assert getattr(fl, name) is getattr(fl, name)
