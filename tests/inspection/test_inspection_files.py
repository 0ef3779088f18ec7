"""Files of tensors are read to the last bit, or refused in words; nothing runs, and nothing large is allocated."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize

import floatlab as fl
from floatlab.errors import DataError, FloatlabError
from floatlab.inspection.sources import sources_of


def safetensors(header, data, length=None):
    """Return the bytes of a safetensors file, whole or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def numbers_of(source):
    return np.concatenate([block for _, block in source.blocks()]).reshape(source.shape).tolist()


#: Of each type: the bytes, and the numbers that they are, written by hand.
BY_HAND = {
    "F64": (struct.pack("<2d", 0.1, -3.0), [0.1, -3.0]),
    "F32": (b"\x00\x00\x80\x3f\x01\x00\x00\x80", [1.0, -(2.0**-149)]),
    "F16": (b"\x00\x3c\xff\xfb", [1.0, -65504.0]),
    "BF16": (b"\x80\x3f\x7f\xff", [1.0, -(2 - 2.0**-7) * 2.0**127]),
    "F8_E4M3": (b"\x7e\x81", [448.0, -(2.0**-9)]),
    "F8_E5M2": (b"\x7b\x81", [57344.0, -(2.0**-16)]),
    "F8_E8M0": (b"\x7f\x00", [1.0, 2.0**-127]),
    "F8_E4M3FNUZ": (b"\x7f\x81", [240.0, -(2.0**-10)]),
    "F8_E5M2FNUZ": (b"\x7f\x81", [57344.0, -(2.0**-17)]),
    # 000001 011111 100000 101010: 0.125, 7.5, -0.0, -1.25; the first number has the lowest bits
    "F6_E2M3": (b"\xc1\x07\xaa", [0.125, 7.5, -0.0, -1.25]),
    # 000001 011111 100000 101100: 0.0625, 28, -0, -1
    "F6_E3M2": (b"\xc1\x07\xb2", [0.0625, 28.0, -0.0, -1.0]),
    "F4": (b"\x72\x9f", [1.0, 6.0, -6.0, -0.5]),
}
OTHERS = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8, "C64": 8}


def every_type():
    header, data = {"__metadata__": {"made": "by hand"}}, b""
    for name, (content, numbers) in BY_HAND.items():
        header[name.lower()] = entry(name, [len(numbers) // 2, 2], len(data), len(data) + len(content))
        data += content
    for name, size in OTHERS.items():
        header[name.lower()] = entry(name, [3], len(data), len(data) + 3 * size)
        data += bytes(3 * size)
    header["empty"] = entry("F32", [0, 4], len(data), len(data))
    header["scalar"] = entry("F16", [], len(data), len(data) + 2)
    return header, data + b"\x00\x3c"


def test_every_type_of_safetensors_is_read_bit_for_bit(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(*every_type()))
    found = {source.name: source for source in sources_of(path)}
    for name, (_, numbers) in BY_HAND.items():
        source = found[name.lower()]
        assert source.dtype == name and source.shape == (len(numbers) // 2, 2)
        got = np.array(numbers_of(source)).ravel()
        assert got.tolist() == numbers and np.signbit(got).tolist() == np.signbit(numbers).tolist()
    assert all(found[name.lower()].read is None for name in OTHERS)
    assert found["empty"].shape == (0, 4) and numbers_of(found["scalar"]) == 1.0
    report = fl.inspect(path, sort="file")
    notes = [tensor.note for tensor in report.tensors]
    assert notes.count("not floats") == len(OTHERS) and len(notes) == len(BY_HAND) + len(OTHERS) + 2


@pytest.mark.parametrize("name", ["F4", "F6_E2M3", "F6_E3M2"])
@pytest.mark.parametrize("shape", [(8, 1), (4, 3), (3, 4), (2, 10), (1, 44), (20,)])
def test_a_part_of_packed_numbers_may_begin_inside_a_byte(name, shape, tmp_path, monkeypatch):
    bits, size = int(name[1]), int(np.prod(shape))
    codes = [(7 * i + 3) % (1 << bits) for i in range(size)]
    content = sum(code << bits * i for i, code in enumerate(codes)).to_bytes(size * bits // 8, "little")
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"x": entry(name, list(shape), 0, len(content))}, content))
    monkeypatch.setattr("floatlab.inspection.source.BLOCK", 7)
    fmt = {"F4": "fp4", "F6_E2M3": "e2m3", "F6_E3M2": "e3m2"}[name]
    (source,) = sources_of(path)
    assert np.ravel(numbers_of(source)).tolist() == fl.decode(codes, fmt).tolist()


def test_what_floatlab_and_safetensors_write_is_read(tmp_path):
    path = tmp_path / "state.safetensors"
    fl.save(fl.nn.Linear(3, 2, rng=0).state_dict(), path)
    assert sum(tensor.elements for tensor in fl.inspect(path).tensors) == 8


def test_a_model_in_several_files_is_one_report(tmp_path):
    for i in (1, 2):
        content = struct.pack("<2f", i, 0.5)
        (tmp_path / f"model-{i}.safetensors").write_bytes(
            safetensors({f"w{i}": entry("F32", [2], 0, 8)}, content)
        )
    index = tmp_path / "model.safetensors.index.json"
    where = {"w2": "model-2.safetensors", "w1": "model-1.safetensors"}
    index.write_text(json.dumps({"metadata": {"total_size": 16}, "weight_map": where}))
    assert [(t.name, t.largest) for t in fl.inspect(index, sort="file").tensors] == [("w2", 2.0), ("w1", 1.0)]
    for wrong in (
        {"w3": "model-1.safetensors"},
        {"w1": "../model-1.safetensors"},
        {"w1": "no.safetensors"},
        {"w1": 3},
        [],
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(DataError):
            fl.inspect(index)


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE = {
    "nothing": b"",
    "half a length": b"\x00\x00\x00",
    "a header of petabytes": safetensors(b"{}", b"", 1 << 52),
    "a header longer than the file": safetensors(b"{}", b"", 3),
    "a tensor of petabytes": safetensors({"x": entry("F32", [1 << 48], 0, 1 << 50)}, bytes(8)),
    "a shape beyond 64 bits": safetensors({"x": entry("F32", [1 << 70, 0], 0, 0)}, b""),
    "a shape that overflows to the size": safetensors({"x": entry("F32", [1 << 63, 2], 0, 0)}, b""),
    "overlapping": safetensors({"x": F32, "y": entry("F32", [2], 4, 12)}, bytes(12)),
    "twice the same bytes": safetensors({"x": F32, "y": F32}, bytes(8)),
    "a hole": safetensors({"x": F32, "y": entry("F32", [1], 12, 16)}, bytes(16)),
    "a rest": safetensors({"x": F32}, bytes(9)),
    "an end before its beginning": safetensors({"x": entry("F32", [2], 8, 0)}, bytes(8)),
    "a negative offset": safetensors({"x": entry("F32", [2], -8, 0)}, bytes(8)),
    "a negative shape": safetensors({"x": entry("F32", [-1, -2], 0, 8)}, bytes(8)),
    "a fraction": safetensors({"x": entry("F32", [2.0], 0, 8)}, bytes(8)),
    "a truth value": safetensors({"x": entry("F32", [True], 0, 4)}, bytes(4)),
    "a size that does not fit": safetensors({"x": entry("F32", [3], 0, 8)}, bytes(8)),
    "half a byte": safetensors({"x": entry("F4", [3], 0, 2)}, bytes(2)),
    "an unknown type": safetensors({"x": entry("F7", [2], 0, 8)}, bytes(8)),
    "a type that is a list": safetensors({"x": entry(["F32"], [2], 0, 8)}, bytes(8)),
    "a tensor that is a text": safetensors({"x": "F32"}, bytes(8)),
    "no offsets": safetensors({"x": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "three offsets": safetensors({"x": {**F32, "data_offsets": [0, 4, 8]}}, bytes(8)),
    "metadata that are numbers": safetensors({"x": F32, "__metadata__": {"a": 1}}, bytes(8)),
    "one name twice": safetensors(b'{"x":%b,"x":%b}' % ((json.dumps(F32).encode(),) * 2), bytes(8)),
    "no JSON": safetensors(b"{'x'}", b""),
    "a list": safetensors(b"[]", b""),
    "no text": safetensors(b"\xff\xfe", b""),
    "NaN": safetensors(b'{"x": NaN}', b""),
    "a deep nest": safetensors(b"[" * 100_000, b""),
    "a long integer": safetensors(b'{"x": ' + b"9" * 10_000 + b"}", b""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_safetensors_file_is_refused_before_anything_large_is_allocated(what, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(HOSTILE[what])
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="safetensors file"):
            fl.inspect(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_flipped_byte_is_read_as_the_library_reads_it_or_refused_as_it_refuses(tmp_path):
    header, data = every_type()
    whole = safetensors(header, data)
    draw = np.random.default_rng(0)
    path = tmp_path / "x.safetensors"
    read = 0
    for _ in range(300):
        in_header = draw.random() < 0.8
        place = int(draw.integers(0, len(whole) - len(data)) if in_header else -draw.integers(1, len(data)))
        flipped = bytearray(whole)
        flipped[place] ^= int(draw.integers(1, 256))
        path.write_bytes(flipped)
        try:
            expected = {
                name: (view["dtype"], tuple(view["shape"])) for name, view in deserialize(bytes(flipped))
            }
        except (SafetensorError, UnicodeDecodeError):
            expected = None
        try:
            found = {source.name: (source.dtype, source.shape) for source in sources_of(path)}
            fl.inspect(path, "fp4", "none")
        except FloatlabError:
            found = None
        assert found == expected, (place, flipped[place])
        read += found is not None
    assert 30 < read < 270  # both happened


# -- NumPy's files -------------------------------------------------------------------------------------


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("ending", [".npy", ".npz", "compressed.npz"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", ">f2"])
def test_files_of_numpy_hold_what_was_saved(ending, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr("floatlab.inspection.source.BLOCK", 16)
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(dtype)
    path = tmp_path / f"x{ending}"
    if ending == ".npy":
        np.save(path, x)
    else:
        (np.savez if ending == ".npz" else np.savez_compressed)(path, x=x, ids=np.arange(3))
    source = sources_of(path)[0]
    assert source.shape == (5, 7) and numbers_of(source) == x.tolist()
    assert numbers_of(source) == x.tolist()  # again from the beginning


@pytest.mark.parametrize(
    "x", [np.zeros((0, 3)), np.float32(2.5), np.asfortranarray(np.arange(6.0).reshape(2, 3))]
)
def test_odd_arrays_in_files_of_numpy(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    for name in ("x.npy", "x.npz"):
        (source,) = sources_of(tmp_path / name)
        assert source.shape == x.shape and (not x.size or numbers_of(source) == x.tolist())
        assert fl.inspect(tmp_path / name).tensors[0].elements == x.size


class Bomb:
    """What would run if it were unpickled."""

    def __reduce__(self):
        return sys.exit, ("unpickled",)


def archive(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


PICKLED = saved(np.array([1.0, None], object), allow_pickle=True)
WHOLE = saved(np.arange(10.0))
PETABYTES = WHOLE.replace(b"(10,), }                ", b"(1000000000000000,), }  ")
FORTRAN = saved(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
NUMPY = {
    "pickled.npy": PICKLED,
    "pickle.npy": pickle.dumps(Bomb()),
    "petabytes.npy": PETABYTES,
    "short.npy": WHOLE[:-1],
    "long.npy": WHOLE + b"\0",
    "header.npy": WHOLE[:20],
    "magic.npy": b"\x93NUMPY",
    "version.npy": WHOLE[:6] + b"\x09" + WHOLE[7:],
    "empty.npy": b"",
    "text.npy": b"no array",
    "pickled.npz": archive([("x.npy", PICKLED)]),
    "petabytes.npz": archive([("x.npy", PETABYTES)]),
    "bomb.npz": archive([("x.npy", PETABYTES + bytes(10_000_000))], zipfile.ZIP_DEFLATED),
    "other.npz": archive([("x.txt", b"hello")]),
    "text.npz": b"no archive",
    "empty.npz": b"",
    "fortran.npz": archive([("x.npy", FORTRAN)], zipfile.ZIP_DEFLATED),
    "damaged.npz": archive([("x.npy", WHOLE)]).replace(WHOLE[-8:], b"12345678", 1),
}


@pytest.mark.parametrize("name", NUMPY)
def test_a_damaged_file_of_numpy_is_refused_and_nothing_is_unpickled(name, tmp_path):
    assert PETABYTES != WHOLE
    path = tmp_path / name
    path.write_bytes(NUMPY[name])
    with pytest.raises(DataError, match="file of NumPy"):
        fl.inspect(path)


def test_a_flipped_byte_in_a_file_of_numpy_is_an_error_of_ours_or_the_array_of_numpy(tmp_path):
    draw = np.random.default_rng(1)
    stored = archive([("x.npy", WHOLE)], zipfile.ZIP_DEFLATED)
    for i in range(300):
        path, whole = (tmp_path / "x.npy", WHOLE) if i % 2 else (tmp_path / "x.npz", stored)
        flipped = bytearray(whole)
        flipped[int(draw.integers(0, len(whole)))] ^= int(draw.integers(1, 256))
        path.write_bytes(flipped)
        try:
            (tensor,) = fl.inspect(path, "e4m3", "none").tensors
        except FloatlabError:
            continue
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            (loaded,) = loaded.values()
        assert tensor.shape == loaded.shape
        if tensor.note == "":
            finite = loaded[np.isfinite(loaded)]
            assert tensor.largest == np.max(np.abs(finite), initial=0.0)


# -- other files ---------------------------------------------------------------------------------------


def test_folders_and_other_files_are_refused_with_a_way_out(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    for place, words in (
        (".", "model.safetensors"),
        ("x.gguf", "GGUF"),
        ("x.bin", "one of"),
        ("no.npy", "not there"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            fl.inspect(str(tmp_path / place))
        assert str(caught.value).count(". ") >= 2
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match="folder"):
        fl.inspect(tmp_path / "folder.npy")


def test_a_file_of_pytorch_needs_pytorch(tmp_path, monkeypatch):
    (tmp_path / "x.pt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DataError, match="PyTorch is not installed"):
        fl.inspect(tmp_path / "x.pt")


def test_files_and_tensors_of_pytorch_are_read_and_nothing_is_unpickled(tmp_path):
    torch = pytest.importorskip("torch")
    state = {
        "net": torch.nn.Linear(3, 2).state_dict(),
        "half": torch.tensor([[1.0, 2.0**-20]], dtype=torch.bfloat16),
        "small": torch.tensor([448.0, 0.5]).to(torch.float8_e4m3fn),
        "ids": torch.arange(3),
        "step": 7,
        "list": [torch.zeros(2)],
    }
    torch.save(state, tmp_path / "x.pt")
    report = fl.inspect(tmp_path / "x.pt", sort="file")
    found = {tensor.name: tensor for tensor in report.tensors}
    assert list(found) == ["net.weight", "net.bias", "half", "small", "ids", "list.0"]
    assert found["half"].smallest == 2.0**-20 and found["half"].dtype == "bfloat16"
    assert found["small"].largest == 448.0 and found["ids"].note == "not floats"
    assert found["net.weight"].largest == state["net"]["weight"].abs().max().item()
    assert fl.inspect(torch.nn.Linear(3, 2)).tensors[0].elements == 6
    torch.save({"x": Bomb()}, tmp_path / "bomb.pth")
    (tmp_path / "text.pt").write_bytes(b"no file of PyTorch")
    for name in ("bomb.pth", "text.pt"):
        with pytest.raises(DataError, match=r"\.pt file"):
            fl.inspect(tmp_path / name)
