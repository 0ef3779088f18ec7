"""In which formats are a whole model's weights, arithmetic and results? A policy, as in Keras and jmp.

Autocast decides for each operation; a policy decides once: weights are kept in `param`, every operation
computes in `compute`, and what comes out is cast to `output`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from floatlab.autograd import Tensor, cast_policy
from floatlab.errors import FormatError, OptionError, check_option, nearest_name
from floatlab.formats import FloatFormat, get_format
from floatlab.nn import Module

__all__ = ["POLICIES", "Policy", "PolicyModule", "get_policy"]


@dataclass(frozen=True)
class Policy:
    """Three formats: of the weights, of the arithmetic, and of the results.

    Parameters
    ----------
    param, compute, output : str or FloatFormat
        The formats.

    Examples
    --------
    >>> import floatlab as fl
    >>> policy = get_policy("mixed_float16")
    >>> model = policy.wrap(fl.nn.Linear(2, 1, rng=0))
    >>> model(fl.Tensor([[1.0, 2.0]])).format.name
    'float32'
    """

    param: FloatFormat
    compute: FloatFormat
    output: FloatFormat

    def __init__(
        self,
        param: str | FloatFormat = "float32",
        compute: str | FloatFormat = "float32",
        output: str | FloatFormat = "float32",
    ) -> None:
        for name, fmt in (("param", param), ("compute", compute), ("output", output)):
            object.__setattr__(self, name, get_format(fmt))

    def cast_to_param(self, tree: Any) -> Any:
        """Return `tree` (a tensor, or lists, tuples, dictionaries of them) in the weights' format."""
        return _cast(tree, self.param)

    def cast_to_compute(self, tree: Any) -> Any:
        """Return `tree` in the format of the arithmetic."""
        return _cast(tree, self.compute)

    def cast_to_output(self, tree: Any) -> Any:
        """Return `tree` in the format of the results."""
        return _cast(tree, self.output)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Compute every operation inside the block in the compute format; no operation is spared."""
        fmt = self.compute

        def cast_all(name: str, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(t if t.format.same_as(fmt) else t.to(fmt) for t in tensors)

        token = cast_policy.set(cast_all)
        try:
            yield
        finally:
            cast_policy.reset(token)

    def wrap(self, module: Module) -> PolicyModule:
        """Return `module` under this policy; its weights are converted to `param`, in place."""
        if not isinstance(module, Module):
            raise OptionError(f"A policy is that of a module. Got {type(module).__name__}. Pass the model.")
        return PolicyModule(module.to(self.param), self)

    def __str__(self) -> str:
        return f"params={self.param.spec},compute={self.compute.spec},output={self.output.spec}"


class PolicyModule(Module):
    """A module that computes under a `Policy`."""

    def __init__(self, module: Module, policy: Policy) -> None:
        super().__init__()
        self.module = module
        self.policy = policy

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Cast the inputs, run the module, cast the results."""
        with self.policy.scope():
            results = self.module(*self.policy.cast_to_compute(inputs), **options)
        return self.policy.cast_to_output(results)

    def extra_repr(self) -> str:
        """Return the policy."""
        return str(self.policy)


#: The names of Keras. There a layer's results stay in the compute format, and one is told to make the last layer
#: float32; a policy here covers the whole model, so its results are float32.
POLICIES: dict[str, Policy] = {
    "float64": Policy("float64", "float64", "float64"),
    "float32": Policy(),
    "float16": Policy("float16", "float16", "float16"),
    "bfloat16": Policy("bfloat16", "bfloat16", "bfloat16"),
    "mixed_float16": Policy("float32", "float16", "float32"),
    "mixed_bfloat16": Policy("float32", "bfloat16", "float32"),
}

_KEYS = {
    "params": "param",
    "p": "param",
    "compute": "compute",
    "c": "compute",
    "output": "output",
    "o": "output",
}


def get_policy(policy: str | FloatFormat | Policy) -> Policy:
    """Return a policy by its Keras name, by one format for everything, or from jmp's notation.

    jmp writes a policy as ``"params=f32,compute=bf16,output=f32"``, or with first letters alone,
    ``"p=f32,c=bf16,o=f32"``, in any order. What is left out follows: params are float32, compute is as params, and
    output is as compute. So ``"p=f16"`` is float16 throughout, and ``"c=f16"`` is float16 but for the weights. "full"
    is float32. Any name of `floatlab.get_format` may stand for a format.

    Three things are settled here that jmp leaves open or to the machine: "half" is always float16 (to jmp it is
    bfloat16 on a TPU), a key that comes twice is an error (jmp takes the last), and blanks beside a comma mean nothing.

    Raises
    ------
    FormatError
        If a name or a part is unknown, or a part comes twice; the message suggests the nearest.

    References
    ----------
    jmp, "Mixed precision training in JAX", https://github.com/google-deepmind/jmp, ``jmp.get_policy``.

    Examples
    --------
    >>> str(get_policy("p=f32,c=bf16,o=f32"))
    'params=float32,compute=bfloat16,output=float32'
    >>> str(get_policy("c=half"))
    'params=float32,compute=float16,output=float16'
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        name = policy.strip()
        if name in POLICIES:
            return POLICIES[name]
        return _from_parts(name) if "=" in name or "," in name else _of_one_format(name)
    fmt = get_format(policy)
    return Policy(fmt, fmt, fmt)


def _from_parts(text: str) -> Policy:
    """Read jmp's notation."""
    given: dict[str, FloatFormat] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise FormatError(
                f"A part of a policy is written key=format. Got {part!r} in {text!r}. "
                'Write "params=float32,compute=float16,output=float32".'
            )
        check_option(f"A key of the policy {text!r}", key, _KEYS, FormatError)
        if _KEYS[key] in given:
            raise FormatError(
                f"A policy gives each of its formats once. Got {part.strip()!r} as well in {text!r}. Leave one out."
            )
        given[_KEYS[key]] = _format_of(value)
    param = given.get("param", get_format("float32"))
    compute = given.get("compute", param)
    return Policy(param, compute, given.get("output", compute))


def _of_one_format(name: str) -> Policy:
    try:
        fmt = _format_of(name)
    except FormatError:
        guess = nearest_name(name, POLICIES)
        if guess is None:
            raise
        raise FormatError(
            f'A policy is one of: {", ".join(POLICIES)}. Got {name!r}. Did you mean "{guess}"?'
        ) from None
    return Policy(fmt, fmt, fmt)


def _format_of(name: str) -> FloatFormat:
    return get_format("float32" if name == "full" else name)


def _cast(tree: Any, fmt: FloatFormat) -> Any:
    if isinstance(tree, Tensor):
        return tree.to(fmt)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_cast(item, fmt) for item in tree)
    return {key: _cast(item, fmt) for key, item in tree.items()} if isinstance(tree, dict) else tree
