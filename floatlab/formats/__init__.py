"""What is a float format? A rule that gives bit patterns a meaning; and the catalogue of those that people use.

- `format.py`: `FloatFormat`, whose constants all follow from five numbers.
"""

from floatlab.formats.format import FloatFormat, aliases, formats, get_format

__all__ = ["FloatFormat", "aliases", "formats", "get_format"]
