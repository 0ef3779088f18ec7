"""What is a float format? A rule that gives bit patterns a meaning; and the catalogue of those that people use.

- `notation.py`: the five fields that make a format, and how they are written in one word.
- `shown.py`: how a format looks in a notebook.
- `format.py`: `FloatFormat`, whose constants all follow from the fields.
- `values.py`: how values of a format look in a notebook.
- `catalogue.py`: the formats that have a name, one line each; `get_format`.
- `info.py`: `finfo`, the constants under NumPy's names.
"""

from floatlab.formats.catalogue import aliases, formats, get_format
from floatlab.formats.format import FloatFormat

__all__ = ["FloatFormat", "aliases", "formats", "get_format"]
