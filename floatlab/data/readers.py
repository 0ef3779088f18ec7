"""How are MNIST's and CIFAR-10's own files read? From a folder that the user has, plain or gzipped.

The idx files of MNIST (Y. LeCun, C. Cortes, C. Burges), all numbers big-endian:

    00 00 08 03   two zero bytes, 08 = unsigned byte, 03 = three dimensions
    00 00 ea 60   the first dimension: 60000; then one such number for every other dimension
    ...           the elements, last dimension fastest

A record of CIFAR-10's binary version (A. Krizhevsky) is 3073 bytes: a label, then 32 x 32 red, green, blue.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from floatlab.data.dataset import Dataset, make_dataset
from floatlab.errors import DataError
from floatlab.system.files import as_path, cannot_read

__all__ = ["cifar10", "mnist", "read_idx"]

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32
_MOST_RECORDS = 100_000  # of a batch; the published ones have a tenth of it
_LARGEST = 1 << 32  # bytes of an array; MNIST has 47 million
_MOST_DIMENSIONS = 64  # of a NumPy array
_PIECE = 1 << 20


def read_idx(path: str | Path, *, largest: int = _LARGEST) -> NDArray[Any]:
    """Return the array in an idx file, plain or gzipped, in this machine's byte order.

    No more is unpacked than the header says, and no more than `largest`: a small gzip file cannot fill the memory.

    Parameters
    ----------
    path : path
        The file.
    largest : int
        How many bytes the array may have.

    Raises
    ------
    DataError
        If the file is missing, is not an idx file, is longer or shorter than its header says, or larger than `largest`.
    """
    path = as_path(path)
    with _opened(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
            raise DataError(
                "An idx file starts with two zero bytes and a known type. "
                f"Got {head.hex(' ') or 'nothing'} in {path}. Use one of MNIST's own files."
            )
        dtype, rank = np.dtype(_IDX_TYPES[head[2]]), head[3]
        sizes = file.read(4 * rank)
        shape = tuple(int(n) for n in np.frombuffer(sizes[: len(sizes) // 4 * 4], ">i4"))
        # Dimensions are signed in the format's description; a product of Python integers does not overflow.
        size = math.prod(shape) * dtype.itemsize
        if len(shape) == rank and (rank > _MOST_DIMENSIONS or min(shape, default=0) < 0):
            raise DataError(
                f"An idx file has up to {_MOST_DIMENSIONS} dimensions, none of them negative. Got {rank}, "
                f"{shape[:_MOST_DIMENSIONS]}, in {path}. Fetch the file again."
            )
        if math.prod(max(n, 1) for n in shape) * dtype.itemsize > largest:  # of an empty array too
            raise DataError(
                f"An array that is read has up to {largest} bytes. Got the shape {shape} of {dtype.name} in "
                f"{path}. Pass a larger `largest`, if the file is meant to be so large."
            )
        content = _read(file, size + 1)
    if len(shape) != rank or len(content) != size:
        most = " or more" if len(content) > size else ""
        raise DataError(
            f"An idx file holds as many elements as its header says. Got {4 + len(sizes) + len(content)} bytes"
            f"{most} for the shape {shape} in {path}. Fetch the file again."
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def mnist(folder: str | Path) -> Dataset:
    """Read MNIST, or Fashion-MNIST, from the four idx files in `folder`.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte``, plain or with ``.gz``; ``train-images.idx3-ubyte`` and so on will do too.
    Pixels become float32(pixel / 255).

    Raises
    ------
    DataError
        If a file is missing or damaged, holds something else than bytes, or a label that is not 0 to 9; the message
        names it.
    """
    place = as_path(folder)
    parts = []
    for part in ("train", "t10k"):
        paths = [
            _find(place, f"{part}-{kind}", rank)
            for kind, rank in (("images", "idx3-ubyte"), ("labels", "idx1-ubyte"))
        ]
        images, labels = (read_idx(path) for path in paths)
        for path, array in zip(paths, (images, labels), strict=True):
            if array.dtype != np.uint8:
                raise DataError(
                    f"MNIST's images and labels are unsigned bytes. Got {array.dtype} in {path}. "
                    "Use one of MNIST's own files."
                )
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or not images.size:
            raise DataError(
                "MNIST has images of three dimensions and as many labels. "
                f"Got the shapes {images.shape} and {labels.shape} for {part} in {folder}. "
                "Use the four files of one data set."
            )
        _check_labels(labels, "MNIST", paths[1])
        parts.append((images, labels))
    return _join(parts, (1, *parts[0][0].shape[1:]))


def cifar10(folder: str | Path) -> Dataset:
    """Read CIFAR-10 from its binary version.

    The files are ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``. An image is a
    row of 3072 pixels: 1024 red, 1024 green, 1024 blue. Pixels become float32(pixel / 255).

    Raises
    ------
    DataError
        If a file is missing, is no whole number of records, or has a label that is not 0 to 9.
    """
    folder = as_path(folder)
    train = [_cifar_batch(_find(folder, f"data_batch_{i}.bin")) for i in range(1, 6)]
    images = np.concatenate([batch[0] for batch in train])
    labels = np.concatenate([batch[1] for batch in train])
    return _join([(images, labels), _cifar_batch(_find(folder, "test_batch.bin"))], (3, 32, 32))


def _cifar_batch(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    with _opened(path) as file:
        content = _read(file, _MOST_RECORDS * _CIFAR_RECORD + 1)
    if len(content) > _MOST_RECORDS * _CIFAR_RECORD:
        raise DataError(
            f"A CIFAR-10 batch has 10000 records, and up to {_MOST_RECORDS} are read. Got more in {path}. "
            "Use the binary version of the data set."
        )
    if len(content) == 0 or len(content) % _CIFAR_RECORD:
        raise DataError(
            f"A CIFAR-10 batch is a whole number of records of {_CIFAR_RECORD} bytes. "
            f"Got {len(content)} bytes in {path}. Use the binary version of the data set."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    _check_labels(records[:, 0], "CIFAR-10", path)
    return records[:, 1:], records[:, 0]


def _check_labels(labels: NDArray[Any], data_set: str, path: Path) -> None:
    if labels.max() > 9:
        raise DataError(
            f"A label of {data_set} is 0 to 9. Got {labels.max()} in {path}. Use the files of {data_set}."
        )


def _join(parts: list[tuple[NDArray[Any], NDArray[Any]]], image_shape: tuple[int, ...]) -> Dataset:
    (train_images, train_labels), (test_images, test_labels) = parts
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            "Training and test images have one shape. "
            f"Got {train_images.shape[1:]} and {test_images.shape[1:]}. Use the files of one data set."
        )
    channels, height, width = image_shape
    n = len(train_labels)
    return make_dataset(
        np.concatenate([train_images, test_images]),
        np.concatenate([train_labels, test_labels]),
        np.arange(n),
        np.arange(n, n + len(test_labels)),
        largest_pixel=255,
        image_shape=(channels, height, width),
    )


def _find(folder: Path, *stem: str) -> Path:
    """Return the first of ``a-b``, ``a.b``, ``a-b.gz``, ``a.b.gz`` in `folder` or a folder inside it."""
    names = list(dict.fromkeys(joint.join(stem) + end for end in ("", ".gz") for joint in ("-", ".")))
    with _readable(folder):
        for place in (folder, *sorted(p for p in folder.glob("*") if p.is_dir())):
            for name in names:
                if (place / name).is_file():
                    return place / name
    raise DataError(
        f"The data set needs the file {names[0]}. Got the folder {folder} without it. Put it there."
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into a DataError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"A data file must be readable. Got {type(error).__name__} for {path}. Fetch it again."
        ) from error
    except MemoryError as error:
        raise DataError(
            f"A data file must fit into the memory. Got {path}, which does not. Use a smaller one."
        ) from error
    except OSError as error:
        raise DataError(cannot_read(path, error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or gzipped, for reading from its beginning."""
    with _readable(path), path.open("rb") as file:
        # A gzip file starts with 1f 8b, whatever its name.
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def _read(file: BinaryIO, most: int) -> bytes:
    """Return what is left of a file, but no more than `most` bytes; memory is taken for what is there alone."""
    content = bytearray()
    while piece := file.read(min(_PIECE, most - len(content))):
        content += piece
    return bytes(content)
