"""CIFAR-10, with a small convolutional network: conv 32, pool, conv 64, pool, 128, 10.

python examples/cifar10.py FOLDER                  with the files of CIFAR-10's binary version in FOLDER
python examples/cifar10.py FOLDER --format bf16    the products in bf16
python examples/cifar10.py --synthetic             without any file
"""

import numpy as np
from training import fit, images, options

from floatlab import nn
from floatlab.data import cifar10


def network(seed: int) -> nn.Sequential:
    """Return the network with its initial weights."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, rng=rng),  # (N, 32, 32, 32)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 16, 16)
        nn.Conv2d(32, 64, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 64, 8, 8)
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 128, rng=rng),
        nn.ReLU(),
        nn.Linear(128, 10, rng=rng),
    )


if __name__ == "__main__":
    args = options("Train a small convolutional network on CIFAR-10.", epochs=10).parse_args()
    fit(network(args.seed), images(args, cifar10, (3, 32, 32)), args)
