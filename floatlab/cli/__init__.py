"""How is it started? The floatlab command: demo, run, show, formats, verify."""

from floatlab.cli.app import app, main

__all__ = ["app", "main"]
