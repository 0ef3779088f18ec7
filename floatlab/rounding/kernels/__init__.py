"""How are a million numbers rounded quickly? Kernels that round a block of numbers in place.

- `lookup.py`: short formats, by looking up 16 bits.
- `magic.py`: the magic number that rounds when it is added and subtracted; and the kernels of longer formats.
"""
