"""The ten lines of a whole model are right, its data keep their schema, and a file larger than memory is no trouble."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
import tracemalloc

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DataError
from floatlab.inspection import Outcome, Report, TensorReport


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file of a hundred tensors, of which some underflow and some overflow, and its arrays."""
    rng = np.random.default_rng(0)
    arrays = {}
    for i in range(98):
        shape = (20, 30) if i % 3 else (50,)
        arrays[f"layers.{i}.weight"] = (rng.normal(size=shape) * 10.0 ** rng.uniform(-6, 3)).astype(
            np.float32
        )
    arrays["zeros"] = np.zeros((3, 3), np.float32)
    arrays["ids"] = np.arange(6)
    header, data = {}, b""
    for name, array in arrays.items():
        dtype = "F32" if array.dtype == np.float32 else "I64"
        place = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path, arrays


def directly(array, fmt):
    """Return the share that is lost, and the SQNR, by plain NumPy over the whole array."""
    x = array.astype(np.float64)
    result = fl.quantize(x, fmt, overflow="saturate")
    _, flags = fl.quantize(x, fmt, return_flags=True)
    lost = np.count_nonzero((result == 0) & (x != 0)) + np.count_nonzero(flags.overflow)
    with np.errstate(divide="ignore"):
        return lost, np.count_nonzero(x), 10 * np.log10(np.sum(x**2) / np.sum((x - result) ** 2))


def percent(share):
    if share in (0, 1):
        return f"{share:.0%}"
    return "<0.1%" if share < 0.0005 else ">99.9%" if share >= 0.9995 else f"{100 * share:.1f}%"


def test_the_ten_lines_of_a_hundred_tensors_are_right(model):
    path, arrays = model
    report = fl.inspect(path)
    lines = str(report).splitlines()
    assert len(lines) == 10
    assert lines[0].startswith(
        f"100 tensors, {sum(a.size for a in arrays.values()):,} numbers (99 F32, 1 I64)"
    )
    formats = lines[1].split()[2:-1]
    assert formats == ["bf16", "fp16", "fp8_e4m3", "fp8_e5m2"]
    floats = {name: array for name, array in arrays.items() if array.dtype == np.float32 and array.any()}
    shares = {name: [directly(array, fmt) for fmt in formats] for name, array in floats.items()}
    for line in lines[2:7]:
        name, size, *cells = re.sub(r" ×.*|, per channel| none of them", "", line).split()
        assert size == f"{arrays[name].size:,}"
        expected = [(percent(lost / there), f"{sqnr:.0f}") for lost, there, sqnr in shares[name]]
        assert list(zip(cells[::2], cells[1::2], strict=False)) == expected
    worst = sorted((max(lost / there for lost, there, _ in found) for found in shares.values()), reverse=True)
    named = [line.split()[0] for line in lines[2:7]]
    assert [max(lost / there for lost, there, _ in shares[name]) for name in named] == worst[:5]
    assert lines[7] == "... 95 more"
    total = [
        (sum(found[i][0] for found in shares.values()), sum(found[i][1] for found in shares.values()))
        for i in range(4)
    ]
    lowest = [min(found[i][2] for found in shares.values()) for i in range(4)]
    cells = lines[8].split()[2:10]
    assert cells[::2] == [percent(lost / there) for lost, there in total]
    assert cells[1::2] == [f"{sqnr:.0f}" for sqnr in lowest]
    assert lines[9].startswith("Recommended: fp8_e4m3 with a power of two for each tensor")


def test_every_width_and_number_of_rows_can_be_shown(model):
    report = fl.inspect(model[0], scaling="none")
    for width in (20, 40, 60, 80, 200):
        text = report.text(width=width, rows=3)
        assert len(text.splitlines()) == 8
    assert max(map(len, report.text(width=80).splitlines()[1:-1])) <= 80
    page = report._repr_html_()
    assert page.count("<tr") == 1 + 20 + 2 and "fp8_e4m3" in page
    assert repr(report) == "<Report of 100 tensors in bfloat16, float16, float8_e4m3fn, float8_e5m2>"


# -- the recommendation --------------------------------------------------------------------------------


def outcome(fmt="float16", bits=16, scaling="none", lost=0, sqnr=30.0, nonzero=1000, tensor="x"):
    return Outcome(
        tensor=tensor, format=fmt, bits=bits, scaling=scaling, scale=1.0, nonzero=nonzero, underflow=lost, subnormal=0,
        overflow=0, sqnr=sqnr, cosine=1.0, relative_error=0.1,
    )  # fmt: skip


def tensor(*outcomes, name="x"):
    return TensorReport(
        name=name, dtype="F32", shape=(1000,), elements=1000, measured=1000, outcomes=outcomes
    )


def test_the_recommendation_is_the_narrowest_then_the_simplest_then_the_least_noisy():
    wide, narrow = outcome(), outcome("e4m3", 8, "channel")
    simpler, noisier = outcome("e5m2", 8, "tensor", sqnr=25.0), outcome("e3m4", 8, "tensor", sqnr=21.0)
    assert tensor(wide, narrow).recommend() is narrow
    assert tensor(wide, narrow, noisier, simpler).recommend() is simpler
    assert tensor(wide).recommend(sqnr=31.0) is None


@pytest.mark.parametrize(("lost", "sqnr", "enough"), [(1, 20.0, True), (2, 20.0, False), (1, 19.99, False)])
def test_the_limits_themselves_are_good_enough(lost, sqnr, enough):
    one = outcome(lost=lost, sqnr=sqnr)
    assert tensor(one).recommend() is (one if enough else None)
    assert tensor(one).recommend(lost=0.002, sqnr=19.0) is one


def test_one_tensor_that_needs_more_decides_for_all():
    good, bad = outcome("e4m3", 8), outcome("e4m3", 8, lost=500, tensor="y")
    both = (outcome("float16", 16), outcome("float16", 16, tensor="y"))
    report = Report(
        tensors=(tensor(good, both[0]), tensor(bad, both[1], name="y")),
        formats=("e4m3", "float16"),
        scaling=("none",),
    )
    assert report.recommend().format == "float16" and report.recommend(lost=0.5).format == "e4m3"
    nothing = tensor(outcome("e4m3", 8, nonzero=0, sqnr=math.nan), name="zeros")
    assert Report(tensors=(nothing, tensor(good)), formats=("e4m3",), scaling=("none",)).recommend() is good


def test_a_bias_needs_no_channels_to_be_recommended_with_them():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 64)) * 10.0 ** np.linspace(-7, 3, 8)[:, None]
    report = fl.inspect({"weight": weight, "bias": np.ones(8)}, "e4m3", ("none", "tensor", "channel"))
    assert report.recommend().scaling == "channel"
    assert "a power of two for each channel" in str(report)


# -- data ----------------------------------------------------------------------------------------------


TENSOR_KEYS = {
    "name", "dtype", "shape", "elements", "measured", "zeros", "nans", "infinities", "largest", "smallest", "note",
    "recommended", "outcomes",
}  # fmt: skip
OUTCOME_KEYS = {
    "format", "scaling", "scale", "nonzero", "underflow", "subnormal", "overflow", "lost_share", "underflow_share",
    "subnormal_share", "overflow_share", "exact", "sqnr_db", "cosine", "relative_error",
}  # fmt: skip


def test_the_data_keep_their_schema_and_are_json(model):
    data = fl.inspect(model[0]).to_dict()
    assert set(data) == {"schema", "formats", "scaling", "limits", "recommended", "tensors"}
    assert data["schema"] == "floatlab.inspect/1" and data["limits"] == {"lost": 0.001, "sqnr_db": 20.0}
    assert all(set(one) == TENSOR_KEYS for one in data["tensors"])
    assert all(set(one) == OUTCOME_KEYS for tensor in data["tensors"] for one in tensor["outcomes"])
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_a_line_of_csv_for_each_outcome(model):
    report = fl.inspect(model[0])
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(rows) == len(report.outcomes) + 1  # the integers have none
    first = report.outcomes[0]
    assert rows[0]["format"] == first.format and int(rows[0]["underflow"]) == first.underflow
    assert {row["shape"] for row in rows} == {"50", "20x30", "3x3", "6"}


def test_conditions_find_the_outcomes_that_meet_them():
    report = fl.inspect({"a": np.array([1.0, 1e-9]), "b": np.array([0.3])}, ("fp16", "fp32"), "none")
    assert [(o.tensor, o.format) for o in report.matching("lost>1%")] == [("a", "float16")]
    assert report.matching("lost > 0.5") == [] and len(report.matching("lost>=0.5")) == 1
    assert {o.tensor for o in report.matching("sqnr<80 dB")} == {"b"}
    assert {o.format for o in report.matching("relative_error>=1e0")} == {"float16"}
    report.fail_if("overflow>0")
    with pytest.raises(DataError, match=r"the first of a in float16, scaling none: 0\.5"):
        report.fail_if("lost>1%")


@pytest.mark.parametrize(
    "sort", ["lost", "underflow", "subnormal", "overflow", "sqnr", "size", "name", "file"]
)
def test_the_worst_come_first(sort):
    tensors = {
        "b": np.array([1e-9, 1.0, 1.0]),
        "a": np.array([1e5]),
        "c": np.array([1e-6, 1.0]),
        "d": np.ones(9),
    }
    names = "".join(t.name for t in fl.inspect(tensors, "fp16", "none", sort=sort).tensors)
    expected = {
        "size": "dbca",
        "name": "abcd",
        "file": "bacd",
        "underflow": "b",
        "subnormal": "c",
        "overflow": "a",
    }
    assert names.startswith(expected.get(sort, "a"))


# -- memory --------------------------------------------------------------------------------------------


def write_large(path, count):
    with path.open("wb") as file:
        header = json.dumps(
            {"x": {"dtype": "F32", "shape": [count // 1000, 1000], "data_offsets": [0, 4 * count]}}
        )
        file.write(struct.pack("<Q", len(header)) + header.encode())
        block = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32) * np.float32(1e-3)
        for _ in range(count // 1_000_000):
            block.tofile(file)
    return block


def test_a_file_is_measured_in_eight_megabytes_of_memory(tmp_path):
    """20 million numbers, 80 MB; by tracemalloc, which sees NumPy's arrays."""
    path = tmp_path / "large.safetensors"
    block = write_large(path, 20_000_000)
    tracemalloc.start()
    try:
        report = fl.inspect(path, "e5m2", ("none", "channel"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    found = report.outcomes[0]
    result = fl.quantize(block, "e5m2")
    assert found.nonzero == 20 * np.count_nonzero(block)
    assert found.underflow == 20 * np.count_nonzero((result == 0) & (block != 0))
    assert found.subnormal == 20 * np.count_nonzero((np.abs(result) < 2.0**-14) & (result != 0))
