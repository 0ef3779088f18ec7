"""How does a report of memory read? One item for each tensor; sums by layer, kind and format; a table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.catalogue import block_format, is_block_format
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.system.html import table as html_table

__all__ = ["KINDS", "Item", "Report", "size_of"]

KINDS = ("weights", "buffers", "casts", "master", "gradients", "state", "activations")


def size_of(elements: int, fmt: FloatFormat | BlockFormat | str) -> int:
    """Return the bytes that a tensor occupies: its format's bits for each element, without gaps.

    tf32 has 19 bits and takes 32, as on the hardware that has it. Blocks have their scales besides: here those of a row
    of so many elements, or of whole tiles.

    >>> size_of(1000, "fp16"), size_of(1000, "tf32"), size_of(3, "fp4_e2m1")
    (2000, 4000, 2)
    >>> size_of(1024, "mxfp4"), size_of(1024, "nvfp4")  # 4.25 bits each; 4.5 and a float32
    (544, 580)
    """
    if isinstance(fmt, BlockFormat) or (isinstance(fmt, str) and is_block_format(fmt)):
        blocks = block_format(fmt)
        return blocks.nbytes(elements, math.ceil(elements / blocks.block_size))
    fmt = get_format(fmt)
    bits = 32 if fmt.same_as(get_format("tf32")) else fmt.bits
    return math.ceil(elements * bits / 8)


@dataclass(frozen=True)
class Item:
    """One tensor of a step.

    Attributes
    ----------
    layer : str
        The dotted name of the module that owns or keeps it; "" for the loss and others outside of all modules.
    kind : str
        One of `KINDS`.
    what : str
        The name of the parameter (and of its state), or the operation that keeps it for its derivative.
    format : str
        Its format, as `FloatFormat.spec` writes it, or the name of a block format; "bool" and "int64" for masks and
        indices.
    elements, bytes : int
        Its size.
    """

    layer: str
    kind: str
    what: str
    format: str
    elements: int
    bytes: int


@dataclass(frozen=True)
class Report:
    """What `measure` found: one item for each tensor. Prints as a table."""

    items: tuple[Item, ...]

    @property
    def total(self) -> int:
        """All bytes together."""
        return sum(item.bytes for item in self.items)

    @property
    def parameters(self) -> int:
        """The number of trained weights."""
        return sum(item.elements for item in self.items if item.kind == "gradients")

    def bytes_of(self, *kinds: str) -> int:
        """Return the bytes of some kinds together.

        >>> Report((Item("0", "state", "0.weight", "float32", 10, 40),)).bytes_of("state", "master")
        40
        """
        for kind in kinds:
            if kind not in KINDS:
                raise OptionError(f"A kind is one of: {', '.join(KINDS)}. Got {kind!r}. Use one of them.")
        return sum(item.bytes for item in self.items if item.kind in kinds)

    @property
    def bytes_per_parameter(self) -> float:
        """Weights, master copy, gradients and state, per trained weight; nothing else."""
        fixed = self.bytes_of("weights", "master", "gradients", "state")
        return fixed / self.parameters if self.parameters else 0.0

    def by(self, attribute: str) -> dict[str, int]:
        """Return the bytes for each "layer", "kind" or "format", in the order of the model.

        >>> Report((Item("0", "weights", "0.weight", "float16", 8, 16),)).by("format")
        {'float16': 16}
        """
        if attribute not in ("layer", "kind", "format"):
            raise OptionError(
                f"Bytes are added up by layer, kind or format. Got {attribute!r}. Use one of these."
            )
        sums = dict.fromkeys(KINDS, 0) if attribute == "kind" else {}
        for item in self.items:
            key = getattr(item, attribute)
            sums[key] = sums.get(key, 0) + item.bytes
        return {key: size for key, size in sums.items() if size}

    def rows(self) -> list[dict[str, Any]]:
        """Return the items as plain dictionaries."""
        return [asdict(item) for item in self.items]

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the head and the body of the table: a row for each layer, a column for each kind there is."""
        kinds = [kind for kind in KINDS if self.bytes_of(kind)]
        body = []
        for layer in [*self.by("layer"), None]:
            chosen = [item for item in self.items if layer is None or item.layer == layer]
            sizes = [sum(item.bytes for item in chosen if item.kind == kind) for kind in kinds]
            name = "total" if layer is None else layer or "(none)"
            body.append((name, *(_readable(size) if size else "" for size in sizes), _readable(sum(sizes))))
        return ("layer", *kinds, "total"), body

    def table(self) -> Any:
        """Return a rich table: a row for each layer, a column for each kind."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        head, body = self._cells()
        table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=self._summary(), caption_justify="left")
        for i, name in enumerate(head):
            table.add_column(name, justify="right" if i else "left")
        for row in body:
            table.add_row(*row, style="bold" if row is body[-1] else "")
        return table

    def __repr__(self) -> str:
        tensors = f"{len(self.items)} {'tensor' if len(self.items) == 1 else 'tensors'}"
        each = f", {self.bytes_per_parameter:.4g} bytes for each parameter" if self.parameters else ""
        return f"<Report of {tensors}: {self.total:,} bytes{each}>"

    def _repr_html_(self) -> str:
        head, body = self._cells()
        return html_table("Memory of a step", body, head=head, note=self._summary())

    def __rich__(self) -> Any:
        return self.table()

    def __str__(self) -> str:
        head, body = self._cells()
        widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
        lines = []
        for first, *rest in (head, *body):
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            lines.append("  ".join([first.ljust(widths[0]), *cells]))
        return "\n".join([*lines, "", self._summary()])

    def _summary(self) -> str:
        formats = ", ".join(f"{_readable(size)} in {name}" for name, size in self.by("format").items())
        each = f"{self.bytes_per_parameter:.4g} bytes for each of {self.parameters:,} parameters"
        return f"{formats}.\n{each} (weights, master, gradients, state)."


def _readable(size: int) -> str:
    """Write a number of bytes with its unit.

    >>> _readable(900), _readable(16384), _readable(3 * 2**20 + 1)
    ('900 B', '16 KiB', '3 MiB')
    """
    scaled, units = float(size), ["B", "KiB", "MiB", "GiB"]
    while scaled >= 1000 and len(units) > 1:
        scaled /= 1024
        units.pop(0)
    return f"{scaled:.3g} {units[0]}" if scaled < 1000 else f"{scaled:,.0f} {units[0]}"
