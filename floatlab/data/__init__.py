"""The digits that ship with the package, and readers for the MNIST and CIFAR-10 files that a user has.

Nothing here downloads anything. The digits and their licence lie beside this file.
"""

from floatlab.data.dataset import Dataset, digits, split
from floatlab.data.readers import cifar10, mnist, read_idx

__all__ = ["Dataset", "cifar10", "digits", "mnist", "read_idx", "split"]
