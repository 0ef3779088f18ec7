"""How is it started? The floatlab command: demo, run, show, formats, verify."""

from floatlab.cli.app import main

__all__ = ["main"]
