"""What is a data set here? Images as rows, labels as integers, a training and a test part.

The digits (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, doi 10.24432/C50P49, CC BY 4.0;
see LICENSE-digits.txt) are 1797 images of 8 x 8 pixels. A pixel is an integer from 0 to 16, and no such
integer needs more than 4 significant bits (15 = 1111b, 16 = 1b * 2**4). So pixel / 16 is exact in
float8_e4m3fn, and in every other format with 4 bits of precision and values from 1/16 to 1.

An order comes from the raw 64-bit words of the bit generator, sorted. NumPy promises that these stay the same
from version to version (NEP 19); it does not promise it of `Generator.permutation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError, OptionError
from floatlab.system.html import Raw, picture, table

__all__ = ["Dataset", "digits", "make_dataset", "split"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training part and a test part of labelled images.

    Attributes
    ----------
    train_images, test_images : (N, pixels) float32
        One image a row, pixels from 0 to 1. ``images.reshape(-1, *data.image_shape)`` makes pictures of them.
    train_labels, test_labels : (N,) int64
        The classes, from 0 to ``classes - 1``.
    image_shape : tuple of int
        Channels, height and width.
    classes : int
        How many classes there are.
    """

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    image_shape: tuple[int, int, int]
    classes: int = 10

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.image_shape))
        parts = f"{len(self.train_labels)} training and {len(self.test_labels)} test images"
        return f"<Dataset: {parts} of {shape}, {self.classes} classes>"

    def _repr_html_(self) -> str:
        """Return an image and the counts of each class; of the first twenty, if there are more."""
        rows: list[tuple[object, ...]] = []
        for label in range(min(self.classes, 20)):
            train, test = (
                np.flatnonzero(labels == label) for labels in (self.train_labels, self.test_labels)
            )
            few = "".join(picture(self.train_images[i].reshape(self.image_shape)) for i in train[:6])
            told = few.replace("<img ", f'<img alt="an image of class {label}" ')
            rows.append((label, len(train), len(test), Raw(told)))
        return table(repr(self)[1:-1], rows, head=("class", "training", "test", ""))

    def batches(
        self, size: int, rng: np.random.Generator | int = 0
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Go once through the training part, shuffled, in batches of `size`; the last may be smaller.

        Pass the same generator every epoch for another order each time; an integer always gives the same one.

        Examples
        --------
        >>> images, labels = next(digits().batches(64))
        >>> images.shape, labels.shape
        ((64, 64), (64,))
        """
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise OptionError(f"A batch holds a positive number of images. Got size={size!r}. Use 64.")
        order = shuffled(len(self.train_labels), rng)
        for start in range(0, len(order), int(size)):
            rows = order[start : start + int(size)]
            yield self.train_images[rows], self.train_labels[rows]

    def hold_out(self, share: float = 0.1, seed: np.random.Generator | int = 0) -> Dataset:
        """Return the training part alone, split again: a share of it, the validation part, stands for the test part.

        What is chosen by looking at it (when to stop, which rate) is chosen without the test images.

        Examples
        --------
        >>> data = digits()
        >>> tuning = data.hold_out(0.1)
        >>> len(data.train_labels), len(tuning.train_labels), len(tuning.test_labels)
        (1438, 1294, 144)
        """
        kept, held = _parts(len(self.train_labels), share, seed)
        images, labels = self.train_images, self.train_labels
        return Dataset(images[kept], labels[kept], images[held], labels[held], self.image_shape, self.classes)


def digits(test_share: float = 0.2, seed: int = 0) -> Dataset:
    """Return the handwritten digits that ship with floatlab, split into a training and a test part.

    Parameters
    ----------
    test_share : float
        The share of the 1797 images that goes to the test part, above 0 and below 1.
    seed : int
        Which split. The same seed gives the same split everywhere.

    Returns
    -------
    Dataset
        Images of 64 pixels from 0 to 1, in steps of 1/16, and labels from 0 to 9.

    Raises
    ------
    OptionError
        If one part would be empty.

    Examples
    --------
    >>> data = digits()
    >>> data.train_images.shape, data.test_images.shape, data.train_images.max()
    ((1438, 64), (359, 64), np.float32(1.0))
    """
    if not isinstance(test_share, int | float | np.number) or not 0 < float(test_share) < 1:
        raise OptionError(f"test_share is above 0 and below 1. Got {test_share!r}. Use 0.2.")
    with (
        resources.as_file(resources.files("floatlab.data") / "digits.npz") as path,
        np.load(path, allow_pickle=False) as archive,
    ):
        images, labels = archive["images"], archive["labels"]
    n_test = round(len(labels) * float(test_share))
    if not 0 < n_test < len(labels):
        raise OptionError(
            "Both parts of a split need an image. "
            f"Got test_share={test_share!r} of {len(labels)} images. Use 0.2."
        )
    order = shuffled(len(labels), seed)
    return make_dataset(
        images, labels, order[n_test:], order[:n_test], largest_pixel=16, image_shape=(1, 8, 8)
    )


def shuffled(n: int, rng: np.random.Generator | int) -> NDArray[np.intp]:
    """Return the integers below `n` in an order that depends on the seed or the generator's state alone."""
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"A seed is an integer of at least 0, or a numpy.random.Generator. Got {rng!r}. Use 0."
        ) from error
    return np.argsort(generator.bit_generator.random_raw(n), kind="stable")


def split(*arrays: Any, share: float = 0.1, seed: np.random.Generator | int = 0) -> list[tuple[Any, Any]]:
    """Split arrays of as many rows at random in two: for each, what stays, and what is held out.

    Parameters
    ----------
    *arrays : array_like
        Images and labels, say; row i of each belongs together, and stays together.
    share : float
        The share that is held out, above 0 and below 1.
    seed : int or numpy.random.Generator
        Which split. The same seed gives the same split everywhere.

    Raises
    ------
    DataError
        If the arrays have not as many rows each.
    OptionError
        If one part would be empty.

    Examples
    --------
    >>> (x, x_held), (y, y_held) = split(np.arange(10.0), np.arange(10) % 2, share=0.3)
    >>> x.shape, x_held.shape, sorted([*x, *x_held]) == list(range(10))
    ((7,), (3,), True)
    """
    found = [np.asarray(array) for array in arrays]
    rows = {len(array) if array.ndim else None for array in found}
    if len(rows) != 1 or None in rows:
        shapes = " and ".join(str(array.shape) for array in found) or "none"
        raise DataError(
            f"What is split has as many rows each. Got {shapes}. Give arrays that belong together."
        )
    kept, held = _parts(len(found[0]), share, seed)
    return [(array[kept], array[held]) for array in found]


def _parts(n: int, share: Any, seed: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which of `n` rows stay, and which are held out."""
    if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < float(share) < 1:
        raise OptionError(f"share is above 0 and below 1. Got {share!r}. Use 0.1.")
    count = round(n * float(share))
    if not 0 < count < n:
        raise OptionError(
            f"Both parts of a split need a row. Got share={share!r} of {n} rows. Use another share."
        )
    order = shuffled(n, seed)
    return order[count:], order[:count]


def make_dataset(
    images: NDArray[Any],
    labels: NDArray[Any],
    train: NDArray[Any],
    test: NDArray[Any],
    *,
    largest_pixel: int,
    image_shape: tuple[int, int, int],
) -> Dataset:
    """Make a `Dataset` of the rows `train` and `test`; a pixel becomes pixel / `largest_pixel`."""
    if len(images) != len(labels):
        raise DataError(
            f"Every image has one label. Got {len(images)} images and {len(labels)} labels. "
            "Use two files of the same part of the data set."
        )
    rows = images.reshape(len(images), math.prod(image_shape)).astype(np.float32) / np.float32(largest_pixel)
    numbers = labels.astype(np.int64)
    return Dataset(rows[train], numbers[train], rows[test], numbers[test], image_shape)
