"""How are a million numbers rounded quickly? Kernels that round a block of numbers in place.

- `lookup.py`: short formats without a kernel, by looking up 16 bits; and the codes of all short ones.
- `workspace.py`: the memory that a kernel computes in.
- `constants.py`: the numbers that it computes with.
- `counting.py`: most formats, by counting units.
- `aligned.py`: formats with the carrier's own exponents, by adding integers.
- `ends.py`: overflow, infinities, and what is flushed.
- `choose.py`: which of them a format takes.
"""
