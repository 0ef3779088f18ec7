"""MNIST, with the network that every tutorial begins with: Flatten, 128, dropout 0.2, 10.

python examples/mnist.py FOLDER                    with MNIST's (or Fashion-MNIST's) four files in FOLDER
python examples/mnist.py FOLDER --format fp16      the products in fp16, with loss scaling
python examples/mnist.py --synthetic               without any file
"""

from training import fit, images, options

from floatlab import nn
from floatlab.data import mnist


def network(seed: int) -> nn.Sequential:
    """Return the network with its initial weights."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 128, rng=seed),
        nn.ReLU(),
        nn.Dropout(0.2, rng=seed),
        nn.Linear(128, 10, rng=seed + 1),
    )


if __name__ == "__main__":
    args = options("Train a small network on MNIST.").parse_args()
    fit(network(args.seed), images(args, mnist, (1, 28, 28)), args)
