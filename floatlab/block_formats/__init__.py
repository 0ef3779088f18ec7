"""What are numbers that share a scale? Integers here: int8 and its kin, fixed point, and what is done with them.

- `integer_format.py`: an integer type, and fixed point.
- `whole_numbers.py`: a quotient, rounded once to a whole number.
- `groups.py`: which elements share a scale.
- `integer_scales.py`: which scale, and which zero point.
- `integer_array.py`: codes, scales and zero points in one array.
- `integers.py`: numbers of any kind, quantized.
- `integer_matmul.py`: products of such arrays, as processors sum them.
- `hadamard.py`: the transform that spreads outliers.
"""
