"""Write a page of the reference for each public module: its names in short, and then each with its docstring.

python docs/make_reference.py          into docs/reference; the site's conf.py does the same

What is public is what ``__all__`` says. A name that several modules have is described once, in the module that
comes first here; the others link to it.
"""

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent

# Which modules are public, in the order of the reference, and what each is for.
MODULES = {
    "floatlab": "formats, rounding, arrays and tensors",
    "floatlab.block_formats": "numbers that share a scale",
    "floatlab.autograd": "how derivatives are recorded and computed",
    "floatlab.nn": "layers",
    "floatlab.nn.functional": "layers as functions",
    "floatlab.nn.init": "first values of parameters",
    "floatlab.nn.utils": "gradients and parameters of a whole model",
    "floatlab.optim": "optimizers",
    "floatlab.optim.lr_scheduler": "learning rates that change",
    "floatlab.amp": "autocast, loss scaling, fp8 recipes",
    "floatlab.data": "data sets",
    "floatlab.telemetry": "what is lost while a model trains",
    "floatlab.memory": "bytes of parameters, gradients, activations",
    "floatlab.experiments": "experiments with predictions",
    "floatlab.plots": "charts",
    "floatlab.course": "predictions and checks of the course",
    "floatlab.explain": "why a number became that one",
    "floatlab.inspection": "what a format does to tensors in a file",
    "floatlab.sums.accumulators": "where a sum is kept while it grows",
    "floatlab.testing": "comparisons in units in the last place",
    "floatlab.reference": "the slow oracle",
    "floatlab.verify": "the proof",
    "floatlab.errors": "what can go wrong",
}
# In which part of floatlab's own page a name stands: the room that it comes from.
ROOMS = {
    "formats": "Formats",
    "rounding": "Rounding and codes",
    "codes": "Rounding and codes",
    "explain": "Rounding and codes",
    "inspection": "Rounding and codes",
    "errors": "Rounding and codes",
    "context": "Arrays and arithmetic",
    "array": "Arrays and arithmetic",
    "block_formats": "Blocks and integers",
    "matrix_units": "Matrix units",
    "autograd": "Tensors",
    "names": "Tensors",
}


def public(module: str) -> dict[str, Any]:
    """Return the public names of a module, and what they are; submodules have pages of their own."""
    found = import_module(module)
    names = {name: getattr(found, name) for name in found.__all__}
    return {name: thing for name, thing in names.items() if not inspect.ismodule(thing)}


def homes() -> dict[str, str]:
    """Return for each public name, such as floatlab.nn.Linear, the one under which it is described."""
    seen: dict[int, str] = {}
    found = {}
    for module in MODULES:
        for name, thing in public(module).items():
            path = f"{module}.{name}"
            named = inspect.isclass(thing) or inspect.isroutine(thing)
            found[path] = seen.setdefault(id(thing), path) if named else path
    return found


def first_sentence(thing: Any) -> str:
    """Return what a thing is, in the first sentence of its docstring."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return f"A {type(thing).__name__} of {len(thing)}." if hasattr(thing, "__len__") else repr(thing)
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text


def part_of(module: str, name: str, thing: Any) -> str:
    """Return the heading below which a name stands on the page of its module."""
    if module == "floatlab":
        room = getattr(thing, "__module__", "").split(".")[1:2]
        if name in ("quantize", "encode", "decode", "next_down", "next_up", "spacing", "ulp"):
            return "Rounding and codes"
        return ROOMS[room[0]] if room else "Arrays and arithmetic"
    if inspect.isclass(thing):
        return "Classes"
    return "Functions" if inspect.isroutine(thing) else "Data"


def table(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Give the lines of a list of names, each with its sentence."""
    for name, sentence in rows:
        yield f":py:obj:`{name.split('.')[-1]} <{name}>`"
        yield f"    {sentence}"
        yield ""


def entry(path: str, thing: Any) -> Iterator[str]:
    """Give the lines that describe a name."""
    if inspect.isclass(thing):
        yield f".. autoclass:: {path}"
        yield "   :members:"
        if described := _described_elsewhere(thing):
            yield f"   :inherited-members: {', '.join(described)}"
    elif inspect.isroutine(thing):
        yield f".. autofunction:: {path}"
    else:
        yield f".. autodata:: {path}"
        yield "   :no-value:"
    yield ""


def _described_elsewhere(kind: type) -> list[str]:
    """Return the bases of a class whose methods are not shown again; those of the others, which nobody sees, are."""
    bases = kind.__mro__[1:]
    shown = [
        base for base in bases if base in _public_classes() or not base.__module__.startswith("floatlab")
    ]
    if all(any(issubclass(other, base) for other in shown) for base in bases):
        return []
    return [base.__name__ for base in shown]


@cache
def _public_classes() -> frozenset[type]:
    things = [thing for module in MODULES for thing in public(module).values()]
    return frozenset(thing for thing in things if inspect.isclass(thing))


def page(module: str, where: dict[str, str]) -> str:
    """Return the page of a module."""
    title = f"{module.replace('floatlab', 'fl', 1) if module != 'floatlab' else 'fl'}: {MODULES[module]}"
    lines = [title, "=" * len(title), "", f".. automodule:: {module}", "   :no-members:"]
    lines += ["   :no-index:", ""] if module in where else [""]  # a function has that name: fl.explain
    parts: dict[str, dict[str, Any]] = {}
    for name, thing in public(module).items():
        parts.setdefault(part_of(module, name, thing), {})[name] = thing
    order = list(dict.fromkeys(ROOMS.values()))
    for part, things in sorted(
        parts.items(), key=lambda item: order.index(item[0]) if item[0] in order else -1
    ):
        lines += [part, "-" * len(part), ""]
        lines += table([(where[f"{module}.{name}"], first_sentence(thing)) for name, thing in things.items()])
        for name, thing in things.items():
            if where[f"{module}.{name}"] == f"{module}.{name}":
                lines += entry(f"{module}.{name}", thing)
    return "\n".join(lines)


def index() -> str:
    """Return the list of the modules."""
    rows = [f"| [`{module}`]({module}.rst) | {what} |" for module, what in MODULES.items()]
    toctree = ["```{toctree}", ":hidden:", "", *MODULES, "```", ""]
    text = [
        "# Reference",
        "",
        "`import floatlab as fl`: every public name, with the source of what a standard defines.",
        "",
    ]
    return "\n".join([*text, "| module | what is in it |", "|---|---|", *rows, "", *toctree])


def write(folder: Path) -> None:
    """Write the pages; one that is there already, and is the same, is left alone."""
    where = homes()
    pages = {"index.md": index()} | {f"{module}.rst": page(module, where) for module in MODULES}
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(DOCS / "reference")
