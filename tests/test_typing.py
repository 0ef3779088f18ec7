"""What the type checker of somebody who uses floatlab sees of it: everything public, with its types."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import floatlab as fl

#: A comment that ignores an error where there is none is an error itself, so this program also shows that mistakes
#: are found: where floatlab's types are unknown to mypy, nothing is.
PROGRAM = """
import floatlab as fl

fmt: fl.FloatFormat = fl.get_format("e4m3")
top: float = fmt.max
x: fl.FloatArray = fl.array([0.1, 0.2], "fp16")
print(fl.quantize(0.1, fmt), x + x, top)

data = fl.data.digits()
model = fl.nn.Sequential(fl.nn.Linear(64, 10, rng=0))
optimizer = fl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, rounding="stochastic", rng=0)
scaler = fl.amp.GradScaler()
for images, labels in data.batches(64):
    with fl.amp.autocast("fp16"):
        loss = fl.nn.functional.cross_entropy(model(fl.Tensor(images)), labels)
    scaler.scale(loss).backward()
    scaler.step(optimizer)

name: str = fl.get_format("e4m3")  # type: ignore[assignment]
fl.FloatFormat("mine", "5", 6)  # type: ignore[arg-type]
fl.optim.SGD(model.parameters(), roundng="stochastic")  # type: ignore[call-arg]
fl.quantise(0.1, "fp16")  # type: ignore[attr-defined]
"""


def check(program: str, folder: Path) -> str:
    """Return what mypy says of a program that stands somewhere else than floatlab's source."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "program.py"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return result.stdout + result.stderr


def test_a_program_of_a_user_type_checks_and_its_mistakes_are_found(tmp_path):
    rooms = [name for name in fl.__all__ if hasattr(getattr(fl, name), "__path__")]
    names = [f"fl.{name}" for name in fl.__all__]
    names += [f"fl.{room}.{name}" for room in rooms for name in import_module(f"floatlab.{room}").__all__]
    assert len(rooms) >= 9 and len(names) >= 200
    public = "\n".join(f"print({name})" for name in names)
    assert check(f"{PROGRAM}\n{public}\n", tmp_path).startswith("Success")


def test_the_package_says_that_it_is_typed():
    assert (Path(fl.__file__).parent / "py.typed").is_file()
