"""How is it started? The floatlab command: demo, run, show, formats, verify.

- `commands.py`: the commands and their options.
- `demo.py`: what `floatlab demo` prints.
- `run.py`: what `floatlab run` prints.
- `console.py`: what they print with.
"""

from floatlab.cli.commands import app, main

__all__ = ["app", "main"]
