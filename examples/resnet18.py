"""A ResNet-18 on CIFAR-10: eight residual blocks of two convolutions each (He et al. 2015).

python examples/resnet18.py FOLDER                 with the files of CIFAR-10's binary version in FOLDER; takes hours
python examples/resnet18.py FOLDER --width 16      a quarter of the channels
python examples/resnet18.py --synthetic            without any file, and with few channels

As usual for images of 32 x 32, the first convolution is 3 x 3, and there is no pooling behind it. The mean over a last
layer of 4 x 4 is taken by pooling.
"""

import numpy as np
from training import fit, images, options

from floatlab import nn
from floatlab.data import cifar10


def block(inputs: int, outputs: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """Return a residual block; where the shape changes, a 1 x 1 convolution stands in the short cut."""
    body = nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(outputs),
    )
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False, rng=rng), nn.BatchNorm2d(outputs)
        )
    return nn.Sequential(nn.Residual(body, shortcut), nn.ReLU())


def network(seed: int, width: int = 64) -> nn.Sequential:
    """Return the network with its initial weights; `width` is the number of channels of the first blocks."""
    rng = np.random.default_rng(seed)
    stem = [nn.Conv2d(3, width, 3, padding=1, bias=False, rng=rng), nn.BatchNorm2d(width), nn.ReLU()]
    blocks, inputs = [], width
    for stage, stride in enumerate((1, 2, 2, 2)):
        outputs = width * 2**stage
        blocks += [block(inputs, outputs, stride, rng), block(outputs, outputs, 1, rng)]
        inputs = outputs
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(inputs, 10, rng=rng))


if __name__ == "__main__":
    parser = options("Train a ResNet-18 on CIFAR-10.", epochs=10, rate=0.02)
    parser.add_argument("--width", type=int, help="channels of the first blocks; 64, or 4 with --synthetic")
    args = parser.parse_args()
    width = args.width or (4 if args.synthetic else 64)
    fit(network(args.seed, width), images(args, cifar10, (3, 32, 32)), args)
