"""Which operations are there, and what are their derivatives? One entry each.

- `table.py`: all of them by name.
- `elementwise.py`, `movement.py`, `joining.py`, `reductions.py`, `losses.py`, `convolution.py`, `normalization.py`: the
  entries, and the kernels that they need.
"""
