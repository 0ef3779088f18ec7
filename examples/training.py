"""What the examples share: their options, a stand-in for data that is not there, and a loop in mixed precision.

The loop is the one that PyTorch's documentation has for automatic mixed precision, with floatlab's names.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import floatlab as fl
from floatlab import nn, optim
from floatlab.amp import GradScaler, autocast
from floatlab.data import Dataset


def options(description: str, epochs: int = 5, rate: float = 0.05) -> argparse.ArgumentParser:
    """Return the options of an example; it may add its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", nargs="?", type=Path, help="where the data set's own files lie")
    parser.add_argument("--synthetic", action="store_true", help="a few made-up images instead of files")
    parser.add_argument(
        "--format", default="fp32", help="of the matrix products: fp32, bf16, fp16, e5m2, ..."
    )
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=rate, help="the learning rate")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def images(args: argparse.Namespace, read: Callable[[Path], Dataset], shape: tuple[int, int, int]) -> Dataset:
    """Return the data set in the folder, or the stand-in for it."""
    if args.synthetic:
        return synthetic(shape, seed=args.seed)
    if args.folder is None:
        raise SystemExit("Name the folder with the data set's files, or use --synthetic.")
    return read(args.folder)


def synthetic(shape: tuple[int, int, int], train: int = 160, test: int = 50, seed: int = 0) -> Dataset:
    """Return made-up images of ten classes: a pattern of 4 x 4 blocks for each, and noise over it."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    patterns = rng.random((10, channels, 4, 4)).repeat(height // 4, axis=2).repeat(width // 4, axis=3)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 10, count)
        noisy = 0.7 * patterns[labels] + 0.3 * rng.random((count, *shape))
        return noisy.reshape(count, -1).astype(np.float32), labels

    return Dataset(*part(train), *part(test), shape)


def fit(network: nn.Module, data: Dataset, args: argparse.Namespace) -> float:
    """Train in the format that is asked for, print every epoch, and return the share of test images that are right."""
    optimizer = optim.SGD(network.parameters(), lr=args.rate, momentum=0.9)
    narrow = args.format not in ("fp32", "float32")
    scaler = GradScaler(enabled=narrow)
    rng = np.random.default_rng(args.seed)
    share = 0.0
    for epoch in range(args.epochs):
        losses = []
        network.train()
        for pixels, labels in data.batches(args.batch, rng):
            optimizer.zero_grad()
            with autocast(args.format, enabled=narrow):
                scores = network(fl.Tensor(pixels.reshape(-1, *data.image_shape)))
                loss = nn.functional.cross_entropy(scores, labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        share = accuracy(network, data)
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {share:.1%} of the test images right", flush=True
        )
    return share


def accuracy(network: nn.Module, data: Dataset, batch: int = 100) -> float:
    """Return the share of test images that the network classifies rightly, in fp32."""
    network.eval()
    right = 0
    with fl.no_grad():
        for start in range(0, len(data.test_labels), batch):
            pixels = data.test_images[start : start + batch].reshape(-1, *data.image_shape)
            scores = network(fl.Tensor(pixels)).data
            right += int((scores.argmax(axis=1) == data.test_labels[start : start + batch]).sum())
    return right / len(data.test_labels)
