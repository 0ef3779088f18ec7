"""Names at `nn.`: those that will never be there say so, and why; a misspelt one is still none."""

import pytest
from torch_answers import torch

from floatlab import nn

NEVER = [
    "DataParallel",
    "parallel",
    "SyncBatchNorm",
    "quantized",
    "qat",
    "LazyLinear",
    "LazyConv2d",
    "LazyBatchNorm1d",
]


@pytest.mark.parametrize("name", NEVER)
def test_a_name_that_will_never_be_there_says_so_and_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}', and never will: \w.*\. Use .*\.$"):
        getattr(nn, name)
    assert not hasattr(nn, name)


def test_a_misspelt_name_is_none_and_promises_nothing() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Liner'$") as caught:
        nn.Liner  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Liner", nn)  # from which Python suggests Linear


@pytest.mark.skipif(torch is None, reason="PyTorch's names are PyTorch's")
def test_what_will_never_be_there_is_a_name_of_pytorch_and_none_of_ours() -> None:
    assert not set(nn._NEVER) & set(nn.__all__)
    assert [name for name in nn._NEVER if not hasattr(torch.nn, name)] == []
