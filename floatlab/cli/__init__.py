"""How is it started? The floatlab command, and its commands: `floatlab -h` lists them.

- `entry.py`: how it begins and ends.
- `commands.py`, `files.py`: the commands and their options.
- `options.py`: the options that more than one command takes.
- `demo.py`: what `floatlab demo` prints.
- `run.py`: what `floatlab run` prints.
- `catalogue.py`: the table of formats.
- `numbers.py`: what `floatlab show` and `compute` print.
- `expression.py`: an expression, computed step by step in a format.
- `chart.py`: what `floatlab chart` draws.
- `inspect.py`: what `floatlab inspect` prints.
- `convert.py`: what `floatlab quantize` and `floatlab encode` print.
- `bench.py`: what `floatlab bench` measures and prints.
- `console.py`: what they print with.
"""

from floatlab.cli import commands, files
from floatlab.cli.entry import app, main

__all__ = ["app", "commands", "files", "main"]
