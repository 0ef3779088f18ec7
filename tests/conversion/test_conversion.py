"""A file is converted a block at a time to the bits of the whole array, in constant memory, and goes on."""

from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest

import floatlab as fl
from floatlab import conversion
from floatlab.conversion import convert
from floatlab.errors import DataError, DtypeError, FormatError, OptionError, OverflowPolicyError
from floatlab.system import partial

RNG = np.random.default_rng(1)
NUMBERS = RNG.normal(size=1003) * np.exp2(RNG.integers(-30, 20, 1003))


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch, tmp_path):
    monkeypatch.setattr(conversion, "BLOCK", 64)
    monkeypatch.chdir(tmp_path)


def saved(x, name="x.npy"):
    np.save(name, x)
    return name


def same_bits(x, y):
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


STOCHASTIC = [
    {"rounding": f"stochastic{v}", "rng": 7, "random_bits": b}
    for v in ("", "_b", "_c")
    for b in (3, 16, 20, 40)
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"overflow": "saturate", "rounding": "to_odd"},
        {"subnormals": "flush", "flush_inputs": True, "rounding": "toward_negative"},
        *STOCHASTIC,
    ],
    ids=str,
)
@pytest.mark.parametrize("fmt", ["e4m3", "fp16", "bf16"])
@pytest.mark.parametrize("to", ["values", "codes"])
def test_a_file_becomes_what_one_call_makes_of_its_array(options, fmt, to):
    x = NUMBERS.astype(np.float32).reshape(17, 59)
    expected = (fl.quantize if to == "values" else fl.encode)(x, fmt, **options)
    convert(saved(x), fmt, "y.npy", to=to, **options)
    np.save("expected.npy", expected)
    with open("y.npy", "rb") as ours, open("expected.npy", "rb") as numpys:
        assert ours.read() == numpys.read()


@pytest.mark.parametrize(
    "dtype", ["f2", ">f2", "f4", ">f4", "f8", ">f8", "g", "?", "i1", "u2", ">i4", "i8", "u8"]
)
def test_numbers_of_every_type_are_taken_exactly(dtype):
    with np.errstate(all="ignore"):
        x = (NUMBERS * (1 if np.dtype(dtype).kind == "f" else 2**31)).astype("f8")
        x = x.astype(dtype) if np.dtype(dtype).kind == "f" else x.astype(np.int64).astype(dtype)
    for fmt in ("e5m2", "fp32", "fp64"):
        for to, function in (("values", fl.quantize), ("codes", fl.encode)):
            convert(saved(x), fmt, "y.npy", to=to)
            assert same_bits(np.load("y.npy"), function(x, fmt))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (64,), (65,)])
def test_shapes_without_axes_without_elements_and_at_the_end_of_a_block(shape):
    x = np.resize(NUMBERS.astype(np.float32), shape)
    for options in ({}, {"rounding": "stochastic", "rng": 1}):
        convert(saved(x), "fp16", "y.npy", **options)
        assert same_bits(np.load("y.npy"), fl.quantize(x, "fp16", **options))


def test_fortrans_order_stays_and_takes_no_random_integers():
    x = np.asfortranarray(NUMBERS[:1000].reshape(10, 20, 5))
    convert(saved(x), "bf16", "y.npy")
    y = np.load("y.npy")
    assert y.flags.f_contiguous and not y.flags.c_contiguous
    assert (y == fl.quantize(x, "bf16")).all()
    with pytest.raises(OptionError, match=r"C order.*ascontiguousarray"):
        convert("x.npy", "bf16", "y.npy", rounding="stochastic", rng=1)
    column = np.asfortranarray(NUMBERS[:100, None].repeat(2, axis=1))[:, :1].copy(
        order="F"
    )  # both orders at once
    convert(saved(column), "bf16", "y.npy", rounding="stochastic", rng=1)
    assert same_bits(np.load("y.npy"), fl.quantize(column, "bf16", rounding="stochastic", rng=1))


# -- what is refused ---------------------------------------------------------------------------------------


def test_what_is_no_file_of_numbers_is_refused_and_nothing_is_written(tmp_path):
    for name, x in (
        ("complex", 1j * np.ones(3)),
        ("texts", np.array(["0.1"])),
        ("dates", np.zeros(2, "M8[s]")),
    ):
        with pytest.raises(DtypeError, match="real numbers"):
            convert(saved(x, f"{name}.npy"), "fp16", "y.npy")
    import ml_dtypes

    with pytest.raises(DtypeError, match="ml_dtypes"):
        convert(saved(np.ones(3, ml_dtypes.bfloat16)), "fp16", "y.npy")
    np.save("objects.npy", np.array([1, None]), allow_pickle=True)
    with pytest.raises(DataError, match="pickle"):
        convert("objects.npy", "fp16", "y.npy")
    (tmp_path / "text.npy").write_text("1, 2, 3")
    for name, what in (("text.npy", "header"), ("nowhere.npy", "not there"), (".", "Name a file")):
        with pytest.raises(DataError, match=what):
            convert(name, "fp16", "y.npy")
    with pytest.raises(DataError, match="bytes"):
        whole = (tmp_path / saved(NUMBERS)).read_bytes()
        (tmp_path / "cut.npy").write_bytes(whole[:-3])
        convert("cut.npy", "fp16", "y.npy")
    assert not [*tmp_path.glob("*y.npy*")]


def test_options_are_checked_before_anything_is_written(tmp_path):
    saved(NUMBERS)
    for error, options in (
        (FormatError, {"fmt": "fp17"}),
        (OptionError, {"rounding": "nearest_evn"}),
        (OptionError, {"roundng": "to_odd"}),
        (OptionError, {"rounding": "stochastic"}),
        (OptionError, {"rounding": "stochastic", "rng": np.random.default_rng(0)}),
        (OptionError, {"rounding": "stochastic", "rng": True}),
        (OptionError, {"rounding": "stochastic", "rng": 1, "random_bits": 49}),
        (OptionError, {"to": "code"}),
        (OverflowPolicyError, {"overflow": "nan", "fmt": "fp4"}),
    ):
        with pytest.raises(error):
            convert("x.npy", out="y.npy", **{"fmt": "fp16"} | options)
    assert not [*tmp_path.glob("*y.npy*")]


def test_a_file_is_not_written_over_itself_whatever_its_name(tmp_path):
    saved(NUMBERS)
    before = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "link.npy").symlink_to("x.npy")
    (tmp_path / "hard.npy").hardlink_to(tmp_path / "x.npy")
    for out in ("x.npy", "./x.npy", "link.npy", "hard.npy"):
        with pytest.raises(DataError, match="written over"):
            convert("x.npy", "fp16", out)
    assert (tmp_path / "x.npy").read_bytes() == before


def test_a_nan_in_a_format_without_one_leaves_nothing_behind(tmp_path):
    x = NUMBERS.copy()
    x[700] = np.nan
    with pytest.raises(OverflowPolicyError, match="NaN"):
        convert(saved(x), "fp4", "y.npy")
    assert [*tmp_path.iterdir()] == [tmp_path / "x.npy"]


# -- what is interrupted -----------------------------------------------------------------------------------


class StoppedError(Exception):
    pass


def stop_at(n):
    def progress(done):
        if done >= n:
            raise StoppedError

    return progress


def resumed(*args, **options):
    told = []
    convert(*args, on_start=lambda *what: told.append(what), **options)
    return told[0]


@pytest.mark.parametrize("options", [{}, STOCHASTIC[1], STOCHASTIC[2], STOCHASTIC[3]], ids=str)
@pytest.mark.parametrize("to", ["values", "codes"])
def test_what_was_interrupted_goes_on_and_has_the_same_bits(options, to, tmp_path):
    expected = (fl.quantize if to == "values" else fl.encode)(NUMBERS, "e4m3", **options)
    saved(NUMBERS)
    for place in (64, 512, 960):
        with pytest.raises(StoppedError):
            convert("x.npy", "e4m3", "y.npy", to=to, on_progress=stop_at(place), **options)
        assert not (tmp_path / "y.npy").exists()
    read = []
    told = resumed("x.npy", "e4m3", "y.npy", to=to, on_progress=read.append, **options)
    assert told == (960, 1003, False) and read == [1003]
    assert same_bits(np.load("y.npy"), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "y.npy"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    saved(np.arange(3), "y.npy")
    with pytest.raises(StoppedError):
        convert(saved(NUMBERS), "fp16", "y.npy", on_progress=stop_at(512))
    assert np.load("y.npy").tolist() == [0, 1, 2]
    convert("x.npy", "fp16", "y.npy")
    assert np.load("y.npy").size == 1003


@pytest.mark.parametrize(
    "change",
    [
        {"fmt": "bf16"},
        {"rounding": "to_odd"},
        {"overflow": "saturate"},
        {"to": "codes"},
        {"subnormals": "flush"},
    ],
    ids=str,
)
def test_another_option_begins_anew_and_says_so(change):
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512))
    options = {"fmt": "fp16"} | change
    assert resumed("x.npy", out="y.npy", **options) == (0, 1003, True)
    function = fl.encode if options.pop("to", "") == "codes" else fl.quantize
    assert same_bits(np.load("y.npy"), function(NUMBERS, **options))


def test_another_seed_begins_anew():
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512), rounding="stochastic", rng=1)
    assert resumed("x.npy", "fp16", "y.npy", rounding="stochastic", rng=2) == (0, 1003, True)
    assert same_bits(np.load("y.npy"), fl.quantize(NUMBERS, "fp16", rounding="stochastic", rng=2))


def test_a_changed_input_begins_anew_and_one_that_changes_meanwhile_is_an_error(tmp_path):
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512))
    saved(-NUMBERS)
    assert resumed("x.npy", "fp16", "y.npy") == (0, 1003, True)
    assert same_bits(np.load("y.npy"), fl.quantize(-NUMBERS, "fp16"))
    with pytest.raises(DataError, match="has changed"):
        convert("x.npy", "fp16", "z.npy", on_progress=lambda done: done == 128 and saved(NUMBERS))
    assert not (tmp_path / "z.npy").exists()
    convert("x.npy", "fp16", "z.npy")
    assert same_bits(np.load("z.npy"), fl.quantize(NUMBERS, "fp16"))


def test_fresh_begins_anew_without_a_word():
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512))
    assert resumed("x.npy", "fp16", "y.npy", fresh=True) == (0, 1003, False)


def test_what_the_journal_does_not_know_is_done_again(tmp_path):
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512))
    part = next(tmp_path.glob(".y.npy*part"))
    part.write_bytes(part.read_bytes() + b"written, and not kept when the power went")
    assert resumed("x.npy", "fp16", "y.npy") == (512, 1003, False)
    assert same_bits(np.load("y.npy"), fl.quantize(NUMBERS, "fp16"))


def test_a_part_that_is_shorter_than_its_journal_says_is_not_trusted(tmp_path):
    saved(NUMBERS)
    with pytest.raises(StoppedError):
        convert("x.npy", "fp16", "y.npy", on_progress=stop_at(512))
    part = next(tmp_path.glob(".y.npy*part"))
    part.write_bytes(part.read_bytes()[:-1])
    assert resumed("x.npy", "fp16", "y.npy")[0] == 0
    assert same_bits(np.load("y.npy"), fl.quantize(NUMBERS, "fp16"))


def test_a_full_disk_is_an_error_in_words_and_the_same_call_goes_on(monkeypatch):
    saved(NUMBERS)
    real = partial.PartialFile._opened

    def filling(self):
        file = real(self)

        class Full:
            def write(self, content):
                if file.tell() > 3000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(content)

            def __getattr__(self, name):
                return getattr(file, name)

        return Full()

    with monkeypatch.context() as patch, pytest.raises(DataError, match=r"room.*No space left"):
        patch.setattr(partial.PartialFile, "_opened", filling)
        convert("x.npy", "fp16", "y.npy")
    before, size, other = resumed("x.npy", "fp16", "y.npy")
    assert 0 < before < size and not other
    assert same_bits(np.load("y.npy"), fl.quantize(NUMBERS, "fp16"))


def test_two_calls_do_not_write_one_file_at_once():
    pytest.importorskip("fcntl")
    saved(NUMBERS)

    def again(done):
        with pytest.raises(DataError, match="one process at a time"):
            convert("x.npy", "bf16", "y.npy")

    convert("x.npy", "fp16", "y.npy", on_progress=again)
    assert same_bits(np.load("y.npy"), fl.quantize(NUMBERS, "fp16"))


# -- memory ------------------------------------------------------------------------------------------------

MEASURED = """
import resource, sys
import numpy as np
from floatlab.conversion import convert

x = np.lib.format.open_memmap("x.npy", "w+", np.dtype(sys.argv[1]), (int(sys.argv[2]),))
del x  # a file of zeros, of which nothing has been read
options = dict(rounding="stochastic", rng=1) if sys.argv[3] == "stochastic" else {}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert("x.npy", "e4m3", "y.npy", to=sys.argv[4], **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("dtype", "size", "rounding", "to"),
    [("<f4", 100_000_000, "nearest", "codes"), (">f8", 40_000_000, "stochastic", "values")],
)
def test_a_file_of_hundreds_of_mebibytes_needs_less_than_64_of_memory(dtype, size, rounding, to, tmp_path):
    pytest.importorskip("resource")
    command = [sys.executable, "-c", MEASURED, dtype, str(size), rounding, to]
    grown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert int(grown) < 64 * 1024, f"{grown} KiB"
    assert (tmp_path / "y.npy").stat().st_size >= size
