"""How is an expression computed in a format? Every number is rounded to it, and then every operation.

Python's own parser takes the text to pieces, so that brackets and the order of operations are its; the numbers are
taken as they are written, digit by digit, and never become float64 on the way.
"""

from __future__ import annotations

import ast
from typing import Any

from floatlab.errors import FloatlabError, OptionError
from floatlab.explain import Explanation, explain
from floatlab.formats import FloatFormat

__all__ = ["evaluate"]

_SYMBOLS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def evaluate(expression: str, fmt: FloatFormat, **options: Any) -> list[Explanation]:
    """Return the story of each rounding on the way, the last one that of the result.

    Parameters
    ----------
    expression : str
        Numbers, ``+ - * /``, brackets, ``sqrt(x)``, ``fma(a, b, c)`` and the elementary functions. ``2**-24`` is a
        number, and so is ``0x1.8p-3`` within quotes of its own, ``"0x1.8p-3"``.
    fmt : FloatFormat
    **options
        Of `explain`: rounding, overflow, ...

    Raises
    ------
    OptionError
        For what is no such expression.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> [step.value for step in evaluate("0.1 + 0.2", get_format("fp16"))]
    [0.0999755859375, 0.199951171875, 0.2998046875]
    """
    expression = expression.strip().replace("^", "**")
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _no_expression(expression) from None
    steps: list[Explanation] = []
    try:
        _value(tree, expression, fmt, steps, options)
    except RecursionError:
        raise _no_expression(expression) from None
    return steps


def _value(
    node: ast.expr, text: str, fmt: FloatFormat, steps: list[Explanation], options: dict[str, Any]
) -> float:
    number = _literal(node, text)
    if number is not None:
        told = explain(number, fmt, **options)
        steps.append(told)
        return told.value
    match node:
        case ast.BinOp(left, op, right) if type(op) in _SYMBOLS:
            a, b = (_value(side, text, fmt, steps, options) for side in (left, right))
            what: Any = (a, _SYMBOLS[type(op)], b)
        case ast.UnaryOp(ast.USub(), operand):  # exact in every format with a sign
            what = (_value(operand, text, fmt, steps, options), "*", -1.0)
        case ast.Call(ast.Name(name), [*arguments], []):
            what = (name, *(_value(argument, text, fmt, steps, options) for argument in arguments))
        case _:
            raise _no_expression(text)
    steps.append(explain(what, fmt, **options))
    return steps[-1].value


def _literal(node: ast.expr, text: str) -> str | None:
    """Return a number as it is written, with its sign and its power; None for anything else."""
    match node:
        case ast.Constant(value=str() as word):
            return word
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return ast.get_source_segment(text, node)
        case ast.Name(id=name) if name.lower() in ("inf", "infinity", "nan"):
            return name
        case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, operand):
            inner = _literal(operand, text)
            signed = inner is not None and not inner.startswith(("-", "+"))
            return f"{'-' if isinstance(sign, ast.USub) else ''}{inner}" if signed else None
        case ast.BinOp(ast.Constant(value=int() | float()) as base, ast.Pow(), power):
            exponent = _literal(power, text)
            return None if exponent is None else f"{_literal(base, text)}**{exponent}"
    return None


def _no_expression(text: str) -> FloatlabError:
    return OptionError(
        "An expression holds numbers, + - * /, brackets, sqrt(x), fma(a, b, c) and functions such as exp(x). "
        f'Got {text!r}. Write it like "0.1 + 0.2" or "sqrt(2) * 3".'
    )
