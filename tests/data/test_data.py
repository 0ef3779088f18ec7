"""The digits are the published ones, splits are seeded, and the readers understand the original files."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floatlab import data
from floatlab.errors import DataError, OptionError

FOLDER = Path(data.__file__).parent


def test_the_digits_are_the_published_ones():
    with np.load(FOLDER / "digits.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    assert digest in (FOLDER / "LICENSE-digits.txt").read_text()
    # The counts of the classes that the repository publishes for this part.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_equal_those_of_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    with np.load(FOLDER / "digits.npz") as archive:
        np.testing.assert_array_equal(archive["images"], load_digits().images)
        np.testing.assert_array_equal(archive["labels"], load_digits().target)


def test_attribution_and_licence_lie_beside_the_digits():
    text = (FOLDER / "LICENSE-digits.txt").read_text()
    for part in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert part in text


def test_pixels_are_exact_sixteenths_from_0_to_1():
    images = data.digits().train_images
    assert images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1
    np.testing.assert_array_equal(images * 16, np.round(images * 16))


def test_pixels_are_exact_in_e4m3():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    images = data.digits().train_images
    np.testing.assert_array_equal(images, images.astype(ml_dtypes.float8_e4m3fn).astype(np.float32))


def test_the_split_loses_no_image_and_uses_none_twice():
    one = data.digits(test_share=0.3, seed=5)
    assert len(one.test_labels) == round(0.3 * 1797)
    rows = np.concatenate([one.train_images, one.test_images])
    with np.load(FOLDER / "digits.npz") as archive:
        original = archive["images"].reshape(-1, 64)
    in_order = [sorted(map(bytes, (a * 16).astype(np.uint8))) for a in (rows, original / 16)]
    assert in_order[0] == in_order[1]


def test_labels_stay_with_their_images():
    with np.load(FOLDER / "digits.npz") as archive:
        label_of = dict(zip(map(bytes, archive["images"].reshape(-1, 64)), archive["labels"], strict=True))
    one = data.digits(seed=3)
    for images, labels in ((one.train_images, one.train_labels), (one.test_images, one.test_labels)):
        assert [label_of[bytes(row)] for row in (images * 16).astype(np.uint8)] == labels.tolist()


def test_the_split_of_seed_0_stays_what_it_was():
    # Written down once: NumPy keeps the raw words of PCG64, so that this holds for every NumPy.
    assert data.digits().train_labels[:16].tolist() == [9, 6, 7, 4, 4, 2, 4, 4, 9, 9, 8, 6, 1, 2, 2, 8]
    assert data.digits().test_labels[:16].tolist() == [0, 6, 3, 8, 1, 8, 4, 1, 5, 8, 9, 7, 5, 2, 6, 9]


@pytest.mark.parametrize("seed", [-1, "one", 1.5])
def test_a_seed_that_is_none_is_an_error(seed):
    with pytest.raises(OptionError, match="seed"):
        data.digits(seed=seed)


def test_a_seed_gives_one_split_and_another_seed_another():
    a, b, c = data.digits(seed=1), data.digits(seed=1), data.digits(seed=2)
    np.testing.assert_array_equal(a.test_images, b.test_images)
    assert not np.array_equal(a.test_images, c.test_images)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "half", 1e-9])
def test_a_split_with_an_empty_part_is_an_error(share):
    with pytest.raises(OptionError):
        data.digits(test_share=share)


def test_batches_cover_the_training_part_once():
    one = data.digits()
    rng = np.random.default_rng(0)
    first = list(one.batches(64, rng))
    second = list(one.batches(64, rng))
    assert [len(labels) for _, labels in first] == [64] * 22 + [30]
    assert sorted(np.concatenate([labels for _, labels in first])) == sorted(one.train_labels)
    assert not np.array_equal(first[0][0], second[0][0])  # another order in the next epoch


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_batch_without_images_is_an_error(size):
    with pytest.raises(OptionError):
        list(data.digits().batches(size))


def idx(array: np.ndarray, kind: int = 0x08) -> bytes:
    """The bytes of an idx file, written from the format's description."""
    header = struct.pack(">BBBB", 0, 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def mnist_folder(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (7, 28, 28)).astype(np.uint8),
        "train-labels-idx1-ubyte": np.arange(7, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (3, 28, 28)).astype(np.uint8),
        "t10k-labels-idx1-ubyte": np.array([9, 8, 7], np.uint8),
    }
    for name, array in arrays.items():
        (tmp_path / name).write_bytes(idx(array))
    return tmp_path, arrays


def test_mnist_files_are_read(mnist_folder):
    folder, arrays = mnist_folder
    one = data.mnist(folder)
    assert one.image_shape == (1, 28, 28)
    expected = (arrays["train-images-idx3-ubyte"].reshape(7, 784) / 255).astype(np.float32)
    np.testing.assert_array_equal(one.train_images, expected)
    assert one.test_labels.tolist() == [9, 8, 7]


def test_gzipped_and_dotted_mnist_files_are_read(mnist_folder):
    folder, _ = mnist_folder
    plain = data.mnist(folder)
    for path in list(folder.iterdir()):
        (folder / (path.name.replace("-idx", ".idx") + ".gz")).write_bytes(
            gzip.compress(path.read_bytes(), mtime=0)
        )
        path.unlink()
    np.testing.assert_array_equal(data.mnist(folder).test_images, plain.test_images)


def test_idx_files_of_wider_elements_are_big_endian(tmp_path):
    array = np.array([[1, -2], [300, 70000]], np.int32)
    (tmp_path / "x").write_bytes(idx(array, 0x0C))
    read = data.read_idx(tmp_path / "x")
    assert read.dtype == np.int32 and read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"\0\0\x08",
        b"PK\x03\x04",
        b"\0\0\x07\x01\0\0\0\1a",  # an unknown type
        b"\0\0\x08\x01\0\0\0\2a",  # an element too few
        b"\0\0\x08\x01\0\0\0\1ab",  # and one too many
        b"\0\0\x08\x03\0\0",  # a cut header
        gzip.compress(b"\0\0\x08\x01\0\0\0\1a", mtime=0)[:-5],
    ],
)
def test_a_damaged_idx_file_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        data.read_idx(tmp_path / "damaged")


def test_a_missing_file_is_named(mnist_folder):
    folder, _ = mnist_folder
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        data.mnist(folder)


def test_images_and_labels_of_different_lengths_are_an_error(mnist_folder):
    folder, _ = mnist_folder
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(6, dtype=np.uint8)))
    with pytest.raises(DataError, match="as many labels"):
        data.mnist(folder)


def test_cifar_files_are_read(tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "cifar-10-batches-bin"  # the folder inside the published archive
    folder.mkdir()
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    records = {name: rng.integers(0, 256, (4, 3073)).astype(np.uint8) for name in names}
    for k, (name, array) in enumerate(records.items()):
        array[:, 0] = k
        (folder / name).write_bytes(array.tobytes())
    one = data.cifar10(tmp_path)
    assert one.image_shape == (3, 32, 32)
    assert one.train_labels.tolist() == [k for k in range(5) for _ in range(4)]
    expected = (records["test_batch.bin"][:, 1:] / 255).astype(np.float32)
    np.testing.assert_array_equal(one.test_images, expected)


def test_a_cut_cifar_file_is_an_error(tmp_path):
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}.bin").write_bytes(b"\0" * 3072)
    with pytest.raises(DataError, match="3073"):
        data.cifar10(tmp_path)


# -- what a file may hold that is not what it says --------------------------------------------------------


def header(kind: int, *shape: int) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", n & 0xFFFFFFFF) for n in shape)


def refuse(path: Path, content: bytes, words: str = "damaged") -> None:
    for packed in (content, gzip.compress(content, mtime=0)):
        path.write_bytes(packed)
        with pytest.raises(DataError, match=words):
            data.read_idx(path)


@pytest.mark.parametrize("rank", [65, 128, 255])
def test_an_idx_file_of_more_dimensions_than_an_array_has_is_refused(tmp_path, rank):
    refuse(tmp_path / "damaged", header(8, *[1] * rank) + b"x", "64 dimensions")


def test_an_idx_file_of_64_dimensions_is_read(tmp_path):
    (tmp_path / "x").write_bytes(header(8, *[1] * 64) + b"\7")
    assert data.read_idx(tmp_path / "x").shape == (1,) * 64


@pytest.mark.parametrize("shape", [(-1,), (2, -3), (-2, -3), (0, -1)])
def test_negative_dimensions_are_refused(tmp_path, shape):
    refuse(tmp_path / "damaged", header(8, *shape) + bytes(6), "negative")


@pytest.mark.parametrize(
    "shape",
    [
        (2**31 - 1,) * 3,
        (2**16,) * 4,
        (2**31 - 1, 2**31 - 1, 2, 0),
        (0, 2**31 - 1, 2**31 - 1),
        (2**16, 2**16, 2),
    ],
)
def test_a_product_of_dimensions_that_is_too_large_is_refused(tmp_path, shape):
    refuse(tmp_path / "damaged", header(0x0E, *shape), "bytes")


def test_an_empty_array_is_one(tmp_path):
    (tmp_path / "x").write_bytes(header(8, 0, 28))
    assert data.read_idx(tmp_path / "x").shape == (0, 28)


def test_an_array_of_no_dimensions_is_one_element(tmp_path):
    (tmp_path / "x").write_bytes(header(0x0B) + b"\1\2")
    assert data.read_idx(tmp_path / "x")[()] == 258


@pytest.mark.parametrize("kind", [8, 9, 0x0B, 0x0C, 0x0D, 0x0E])
def test_every_cut_and_every_tail_is_refused(tmp_path, kind):
    whole = header(kind, 2, 1) + bytes(2 * {8: 1, 9: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}[kind])
    for length in range(len(whole)):
        refuse(tmp_path / "damaged", whole[:length])
    for tail in (b"\0", b"\n", bytes(100), whole):
        refuse(tmp_path / "damaged", whole + tail)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    bomb = gzip.compress(header(8, 2, 3) + bytes(64 << 20), mtime=0)
    assert len(bomb) < 1 << 17
    (tmp_path / "damaged").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(DataError, match="or more for the shape"):
        data.read_idx(tmp_path / "damaged")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_bomb_whose_header_promises_it_is_refused_at_its_header(tmp_path):
    refuse(tmp_path / "damaged", header(8, 2**31 - 1, 100) + bytes(1 << 10), "`largest`")
    (tmp_path / "x").write_bytes(header(8, 3, 4) + bytes(12))
    with pytest.raises(DataError, match="up to 11 bytes"):
        data.read_idx(tmp_path / "x", largest=11)
    assert data.read_idx(tmp_path / "x", largest=12).shape == (3, 4)


def test_a_header_that_promises_much_takes_no_memory_for_it(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    (tmp_path / "damaged").write_bytes(header(8, 2**31 - 1) + b"few")
    tracemalloc.start()
    with pytest.raises(DataError, match="as many elements"):
        data.read_idx(tmp_path / "damaged")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_every_flipped_byte_of_a_gzipped_file_gives_the_same_array_or_an_error(tmp_path):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    whole = gzip.compress(idx(array), mtime=0)
    for place in range(len(whole)):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            (tmp_path / "x").write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                np.testing.assert_array_equal(data.read_idx(tmp_path / "x"), array)
            except DataError:
                continue


@pytest.mark.parametrize("path", [None, 3, "a\0b", ["x"]])
def test_a_path_that_is_none_is_an_error_of_ours(path):
    for reader in (data.read_idx, data.mnist, data.cifar10):
        with pytest.raises(DataError):
            reader(path)


def test_a_folder_in_the_place_of_a_file_is_an_error_of_ours(tmp_path):
    with pytest.raises(DataError, match="folder"):
        data.read_idx(tmp_path)
    with pytest.raises(DataError, match="not there"):
        data.read_idx(tmp_path / "none")


LABELS = "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("labels", "kind", "words"),
    [
        (np.array([0, 1, 2, 3, 4, 5, 10], np.uint8), 8, "Got 10"),
        (np.array([200, 1, 2, 3, 4, 5, 6], np.uint8), 8, "Got 200"),
        (np.array([0, 1, 2, -1, 4, 5, 6], np.int8), 9, "int8"),
        (np.array([0, 1, 2, 3, 4, 5, 6], np.int8), 9, "int8"),
        (np.array([0, 1, np.nan, 3, 4, 5, 6], np.float32), 0x0D, "float32"),
        (np.array([0, 1, 2, 3, 4, 5, 6], np.float64), 0x0E, "float64"),
        (np.array([0, 1, 2, 3, 4, 5, 6], np.int32), 0x0C, "int32"),
        (np.zeros((7, 1), np.uint8), 8, "as many labels"),
    ],
)
def test_labels_of_mnist_are_bytes_from_0_to_9(mnist_folder, labels, kind, words):
    folder, _ = mnist_folder
    (folder / LABELS).write_bytes(idx(labels, kind))
    with pytest.raises(DataError, match=words):
        data.mnist(folder)


def test_images_of_mnist_are_bytes(mnist_folder):
    folder, arrays = mnist_folder
    name = "t10k-images-idx3-ubyte"
    for wrong, kind in (
        (arrays[name].astype(np.float32) * np.float32(np.nan), 0x0D),
        (arrays[name].view(np.int8), 9),
    ):
        (folder / name).write_bytes(idx(wrong, kind))
        with pytest.raises(DataError, match="unsigned bytes"):
            data.mnist(folder)


def test_mnist_has_images(mnist_folder):
    folder, _ = mnist_folder
    for shape in ((0, 28, 28), (7, 0, 28)):
        (folder / "train-images-idx3-ubyte").write_bytes(header(8, *shape))
        (folder / LABELS).write_bytes(idx(np.zeros(shape[0], np.uint8)))
        with pytest.raises(DataError, match="shapes"):
            data.mnist(folder)


@pytest.mark.parametrize("label", [10, 200, 255])
def test_a_label_of_cifar_above_9_is_an_error(tmp_path, label):
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (tmp_path / name).write_bytes(b"\x09" + bytes(3072))
    assert data.cifar10(tmp_path).test_labels.tolist() == [9]
    (tmp_path / "data_batch_3.bin").write_bytes(bytes([9]) + bytes(3072) + bytes([label]) + bytes(3072))
    with pytest.raises(DataError, match=f"Got {label}.*data_batch_3"):
        data.cifar10(tmp_path)


def test_a_gzipped_cifar_file_that_is_damaged_is_an_error(tmp_path):
    whole = gzip.compress(bytes(3073), mtime=0)
    for content in (
        whole[:-1],
        whole[:-8] + bytes(8),
        whole + b"tail",
        whole[:10] + b"\xff" + whole[11:],
        b"",
    ):
        (tmp_path / "data_batch_1.bin.gz").write_bytes(content)
        with pytest.raises(DataError, match="data_batch_1"):
            data.cifar10(tmp_path)


def test_a_cifar_bomb_is_not_unpacked(tmp_path, monkeypatch):
    from floatlab.data import readers

    monkeypatch.setattr(readers, "_MOST_RECORDS", 3)
    for count, words in (
        (3, "batch_2"),
        (4, "up to 3"),
        (400, "up to 3"),
    ):  # of three, the next file is missing
        (tmp_path / "data_batch_1.bin.gz").write_bytes(gzip.compress(bytes(3073 * count), mtime=0))
        with pytest.raises(DataError, match=words):
            data.cifar10(tmp_path)


# -- holding out -----------------------------------------------------------------------------------------


def test_a_split_keeps_rows_together_and_loses_none() -> None:
    images, labels = np.arange(200.0).reshape(100, 2), np.arange(100)
    for share in (0.1, 0.33, 0.99):
        (x, x_held), (y, y_held) = data.split(images, labels, share=share, seed=3)
        assert len(y_held) == round(100 * share)
        assert sorted([*y, *y_held]) == list(range(100))
        assert np.array_equal(x, images[y]) and np.array_equal(x_held, images[y_held])


def test_a_seed_names_the_split() -> None:
    first, again, other = (data.split(np.arange(50), seed=seed)[0][1] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert (
        data.split(np.arange(10), share=0.3)[0][1].tolist() == data.split(range(10), share=0.3)[0][1].tolist()
    )


def test_a_validation_part_is_taken_from_the_training_part_alone() -> None:
    whole = data.digits()
    tuning = whole.hold_out(0.2, seed=1)
    assert len(tuning.test_labels) == round(len(whole.train_labels) * 0.2)
    rows = {row.tobytes() for row in whole.train_images}
    assert {row.tobytes() for row in tuning.test_images} <= rows
    assert len(tuning.train_labels) + len(tuning.test_labels) == len(whole.train_labels)
    assert (tuning.image_shape, tuning.classes) == (whole.image_shape, whole.classes)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2, "0.1", None, True, 0.001])
def test_a_share_that_leaves_a_part_empty_is_refused(share: Any) -> None:
    with pytest.raises(OptionError, match="share"):
        data.split(np.arange(10), share=share)


@pytest.mark.parametrize("arrays", [(), (np.arange(3), np.arange(4)), (5,), (np.arange(3), 2.0)])
def test_what_does_not_belong_together_is_not_split(arrays: Any) -> None:
    with pytest.raises(DataError, match="as many rows"):
        data.split(*arrays)


def test_a_split_wants_a_seed() -> None:
    with pytest.raises(OptionError, match="seed"):
        data.split(np.arange(10), seed="first")  # type: ignore[arg-type]
