"""Objects are worth looking at: HTML in a notebook, a short exact text in a terminal, and public names in dir()."""

from __future__ import annotations

import html.parser
import pickle
import zlib
from base64 import b64decode

import numpy as np
import pytest

import floatlab as fl
from floatlab.formats import FloatFormat, formats
from floatlab.system.html import Raw, number, picture, table


class Reader(html.parser.HTMLParser):
    """Reads a table back: the title, its cells by row, and whether every element was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag != "img":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def read(shown: object) -> Reader:
    return Reader(shown._repr_html_())  # type: ignore[attr-defined]


def memory_report():
    model = fl.nn.Linear(8, 4, rng=0)
    return fl.memory.measure(model, fl.Tensor(np.ones((2, 8), np.float32)))


def tracked():
    with fl.track_flags() as record:
        fl.array([1e9, 0.1], "fp16") + 1
    return record


SHOWN = {
    "format": 'fl.get_format("e4m3")',
    "formats": "fl.formats()",
    "finfo": 'fl.finfo("fp16")',
    "array": 'fl.array([0.1, 448.0], "e4m3")',
    "flags": 'fl.quantize([1e9, 0.1], "fp16", return_flags=True)[1]',
    "record": "flags",
    "data": "fl.data.digits()",
    "memory": "report",
    "tensor": "fl.Tensor([0.5, 0.25])",
    "module": "fl.nn.Linear(8, 4, rng=0)",
    "log": "log",
}
SETUP = """
import numpy as np, floatlab as fl
with fl.track_flags() as flags:
    sums = fl.array([1e9, 0.1], "fp16") + 1
with fl.telemetry.watch() as log:
    fl.Tensor([0.5]) + 1
report = fl.memory.measure(fl.nn.Linear(8, 4, rng=0), fl.Tensor(np.ones((2, 8), np.float32)))
"""


def made(name: str):
    scope: dict = {}
    exec(SETUP, scope)
    return eval(SHOWN[name], scope)


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_whole_html_and_a_short_text(name):
    shown = made(name)
    page = read(shown)
    assert page.rows and {len(row) for row in page.rows} == {len(page.rows[0])}
    assert len(repr(shown)) < 400 and " at 0x" not in repr(shown)


def test_a_notebook_shows_html_for_every_class():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, *SHOWN.values())]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3"}
    nbclient.NotebookClient(notebook, timeout=300).execute()
    for cell in notebook.cells[1:]:
        assert ["text/html" in output.data for output in cell.outputs] == [True], cell.source


@pytest.mark.parametrize(
    "fmt", [*formats(), FloatFormat("<b>&", 5, 2), fl.get_format("binary5p3ue")], ids=str
)
def test_a_format_begins_with_its_range_and_special_values(fmt):
    page = read(fmt)
    assert page.words[0] == fmt.name
    cells = dict(page.rows)
    low, high = cells["range"].split(" … ")
    assert [float(text.replace("−", "-")) for text in (low, high)] == [fmt.lowest, fmt.max]
    assert [row[0] for row in page.rows[:2]] == ["range", "special values"]
    for word, has in (("∞", fmt.has_infinity), ("−0", fmt.has_negative_zero), ("no NaN", not fmt.has_nan)):
        assert (word in cells["special values"]) == has
    assert float(cells["smallest normal"].split(" = ")[1]) == fmt.smallest_normal


def test_the_catalogue_is_a_tuple_that_is_shown_as_a_table():
    page = read(formats())
    assert [row[0] for row in page.rows[1:]] == [fmt.name for fmt in formats()]
    assert isinstance(formats(), tuple) and pickle.loads(pickle.dumps(formats())) == formats()
    assert repr(formats()).startswith("<16 formats: float64, float32, ")


def test_the_constants_are_those_of_finfo():
    cells = dict(read(fl.finfo("bf16")).rows)
    assert float(cells["max"]) == fl.finfo("bf16").max and cells["minexp"] == "-126"


def test_an_array_shows_values_and_codes():
    page = read(fl.array([0.1, -448.0, np.nan, 2.0**-9, -0.0], "e4m3"))
    assert page.words[0] == "float8_e4m3fn, 5 elements"
    assert page.rows[1:] == [
        ["0", "0.1015625", "0x1d", ""], ["1", "−448", "0xfe", "lowest"], ["2", "NaN", "0x7f", ""],
        ["3", "0.001953125", "0x01", "subnormal"], ["4", "−0", "0x80", ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "shape", [(), (0,), (12,), (13,), (100,), (3, 4), (40, 30), (2, 3, 4), (2, 0, 3), (1, 1)]
)
def test_an_array_of_any_shape_is_shown_as_far_as_there_is_room(shape):
    x = fl.array(np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape), "fp16")
    page = read(x)
    assert len(page.rows) <= 14 and all(len(row) <= 12 for row in page.rows)
    text = " ".join(page.words)
    assert ("…" in text) == (shape in [(13,), (100,), (40, 30)])
    assert ("no elements" in text) == (x.size == 0)
    if shape == (2, 3, 4):
        assert "the first of 2 matrices" in text


def test_flags_are_counted():
    flags = made("flags")
    assert repr(flags) == "<Flags of 2 elements: overflow 1, inexact 2>"
    assert dict(read(flags).rows)["overflow"] == "1"
    assert repr(tracked()).startswith("<FlagRecord of 2 operations: overflow 1")
    assert read(tracked()).rows[-1][0] == "all"


def test_a_data_set_says_how_many_images_it_has():
    data = fl.data.digits()
    assert repr(data) == "<Dataset: 1438 training and 359 test images of 1 x 8 x 8, 10 classes>"
    counts = [int(row[1]) for row in read(data).rows[1:]]
    assert counts == np.bincount(data.train_labels).tolist()


def test_a_report_of_memory_is_a_line_in_a_terminal_and_a_table_in_a_notebook():
    report = memory_report()
    assert repr(report).startswith(f"<Report of {len(report.items)} tensors: {report.total:,} bytes")
    assert read(report).rows[-1][0] == "total"


@pytest.mark.parametrize("x", [fl.array(0.1, "fp16"), fl.array([0.1], "fp16")[0]])
def test_one_element_is_formatted_as_a_number(x):
    assert f"{x:.3f}" == "0.100" and f"{x:e}".startswith("9.99")


def test_dir_lists_the_public_names_alone():
    assert dir(fl) == sorted([*fl.__all__, "__version__"])
    assert not {"Any", "import_module", "annotations", "TYPE_CHECKING"} & set(dir(fl))


@pytest.mark.parametrize("value", [0.1, -0.0, 65504.0, 1e300, 5e-324, -2.5])
def test_a_number_reads_back(value):
    assert repr(float(number(value).replace("−", "-"))) == repr(value)


def test_text_is_escaped_and_html_is_not():
    page = table("<script>", [("<b>", Raw("<i>x</i>"))], note="a & b")
    assert "<script>" not in page and "&lt;b&gt;" in page and "<i>x</i>" in page and "a &amp; b" in page


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (3, 2, 3)])
def test_a_picture_holds_its_pixels(shape):
    image = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    data = b64decode(picture(image).split("base64,")[1].split('"')[0])
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:24] == b"\0\0\0\3\0\0\0\2"  # 3 wide, 2 high
    start = data.index(b"IDAT") + 4
    lines = zlib.decompress(data[start : data.index(b"IEND") - 8])
    channels = 3 if shape[0] == 3 else 1
    rows = np.frombuffer(lines, np.uint8).reshape(2, 1 + 3 * channels)[:, 1:].reshape(2, 3, channels)
    expected = np.moveaxis(image.reshape(-1, 2, 3), 0, -1)
    assert np.abs(rows / 255 - expected).max() <= 0.5 / 255 + 1e-12


def test_a_tensor_shows_its_values_and_where_it_comes_from():
    x = fl.Tensor(np.float32([0.5, -0.0]), requires_grad=True)
    assert read(x).rows[1:] == [["0", "0.5", ""], ["1", "−0", ""]]
    assert read(x).words[0] == "float32, 2 elements, requires_grad"
    assert read(x * 2).words[0].startswith("float32, 2 elements, made by ")
    assert len(read(fl.Tensor(np.ones((30, 40), np.float32))).rows) == 14


def test_a_module_shows_its_layers_with_parameters_and_formats():
    model = fl.nn.Sequential(fl.nn.Linear(8, 4, rng=0), fl.nn.ReLU(), fl.nn.Linear(4, 2, rng=0).to("bf16"))
    rows = {row[0]: row[1:] for row in read(model).rows[1:]}
    assert rows["0"][1:] == ["weight 4 × 8, bias 4", "float32", "36"]
    assert rows["2"][1:] == ["weight 2 × 4, bias 2", "bfloat16", "10"]
    assert rows["1"][1:] == ["", "", ""] and "46 numbers in all" in read(model).words


def test_a_log_shows_layers_and_parameters_and_is_a_line_in_a_terminal():
    model = fl.nn.Linear(8, 4, rng=0)
    optimizer = fl.optim.SGD(model.parameters(), lr=0.1)
    with fl.telemetry.watch(model, optimizer) as log:
        model(fl.Tensor(np.ones((2, 8), np.float32))).sum().backward()
        optimizer.step()
    words = read(log).words
    assert words[0] == "Layers, 1 steps" and "Parameters" in words and "weight" in words
    assert repr(log).startswith("<Log of 1 steps: ") and len(repr(log)) < 100
    with fl.telemetry.watch() as empty:
        pass
    assert "An empty log" in read(empty).words
