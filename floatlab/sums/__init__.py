"""What do terms add up to? Exact sums rounded once, and every order of adding that hardware has.

- `exact.py`: sums of products without an error.
- `bins.py`: sums of rows without an error.
- `words.py`: 64 terms at a time, a bit for each.
- `certified.py`: a float64 sum and a bound of its error, which together often decide (Ziv's rounding test).
- `partial_sums.py`: how a partial sum is rounded.
- `terms.py`: the terms that are added up, in their order.
- `native.py`: sums that the processor forms as they are asked for.
- `accumulators.py`: in which order terms are added, and what each partial sum is rounded to.
- `names.py`: which accumulator a name stands for.
- `signatures.py`: the options that functions take by name.
- `operands.py`: operands as float64 arrays, their shapes, and sums as products of matrices.
- `evaluate.py`: what a product of matrices rounds to.
- `rows.py`: what the sum of a row rounds to.
- `matmul.py`: sum, mean, dot and matmul with any of these.
- `device.py`: whether a product that a GPU formed is near enough to the exact one.
- `on_device.py`: what a product of its arrays rounds to.
"""
