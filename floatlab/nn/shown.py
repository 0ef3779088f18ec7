"""How does a module look in a notebook? A row for each layer: its kind, and its parameters with shape and format."""

from __future__ import annotations

from typing import Any

from floatlab.system.html import Raw, table

__all__ = ["module_in_html"]


def module_in_html(module: Any) -> Raw:
    """Return a module as a table of the modules in it; each parameter stands with the module that owns it."""
    rows, total = [], 0
    for name, inner in module.named_modules():
        own = list(inner._parameters.items())
        size = sum(int(parameter.array.size) for _, parameter in own)
        total += size
        shapes = ", ".join(f"{key} {' × '.join(map(str, p.shape)) or 'scalar'}" for key, p in own)
        formats = ", ".join(dict.fromkeys(p.format.name for _, p in own))
        kind = f"{type(inner).__name__}({inner.extra_repr()})"
        rows.append((name or "(itself)", kind, shapes, formats, f"{size:,}" if size else ""))
    head = ("module", "kind", "parameters", "format", "numbers")
    return table(type(module).__name__, rows, head=head, note=f"{total:,} numbers in all", texts=4)
