"""How are a million numbers rounded quickly? Kernels that round a block of numbers in place.

- `lookup.py`: short formats, by looking up 16 bits.
- `workspace.py`: the memory that a kernel computes in.
- `constants.py`: the numbers that it computes with.
- `magic.py`: the magic number that rounds when it is added and subtracted.
- `aligned.py`: formats with the carrier's own exponents, by adding integers.
- `ends.py`: overflow, infinities, and what is flushed.
- `choose.py`: which of them a format takes.
"""
