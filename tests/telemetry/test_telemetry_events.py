"""Event files for TensorBoard: what is written is what its own reader finds, and what it says without the package."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DataError, DtypeError, OptionError
from floatlab.telemetry import EventWriter, watch


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensors = pytest.importorskip("tensorboard.util.tensor_util")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [(e.step, float(tensors.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


@pytest.fixture
def installed() -> None:
    pytest.importorskip("tensorboard.summary")


@pytest.mark.filterwarnings("ignore")
def test_numbers_come_back_as_they_were_written(installed: None, tmp_path: Path) -> None:
    with EventWriter(tmp_path / "new" / "run") as write:
        for step in range(3):
            write(step, loss=fl.Tensor(0.5**step), val__accuracy=np.float32(step))
        write.write(np.int64(7), {"any name at all": 2})
    assert read(tmp_path / "new" / "run") == {
        "loss": [(0, 1.0), (1, 0.5), (2, 0.25)],
        "val/accuracy": [(0, 0.0), (1, 1.0), (2, 2.0)],
        "any name at all": [(7, 2.0)],
    }


@pytest.mark.filterwarnings("ignore")
def test_what_a_log_has_counted_is_written_by_layer(installed: None, tmp_path: Path) -> None:
    model = fl.nn.Sequential(fl.nn.Linear(2, 1, bias=False, rng=0)).to("fp16")
    model.load_state_dict({"0.weight": [[2.0**-14, 2.0**-14]]})
    with watch(model) as log:
        model(fl.Tensor([[2.0**-12, 0.0], [1.0, 0.0]], format="fp16"))
        log.step()
    with EventWriter(tmp_path) as write:
        write.log(log)
    found = read(tmp_path)
    assert found["underflows/forward/0 linear"] == [(0, 0.5)]
    assert found["overflows/forward/0 linear"] == [(0, 0.0)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda w: w(0, loss="low"), DtypeError),
        (lambda w: w(0, loss=np.ones(2)), DtypeError),
        (lambda w: w(0, loss=None), DtypeError),
        (lambda w: w(0.5, loss=1.0), OptionError),
        (lambda w: w("first", loss=1.0), OptionError),
    ],
)
def test_what_is_no_number_is_refused_before_anything_is_written(
    installed: None, tmp_path: Path, act: Any, error: type[Exception]
) -> None:
    with EventWriter(tmp_path) as write, pytest.raises(error):
        act(write)
    assert read(tmp_path) == {}


@pytest.mark.filterwarnings("ignore")
def test_a_folder_that_cannot_be_made_is_told(installed: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="folder"):
        EventWriter(tmp_path / "file" / "run")
    with pytest.raises(OptionError, match="folder"):
        EventWriter(5)  # type: ignore[arg-type]


def test_without_the_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(DataError, match=r"pip install 'floatlab\[tensorboard\]'"):
        EventWriter(tmp_path)


def test_the_package_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, floatlab.telemetry; print('tensorboard' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
