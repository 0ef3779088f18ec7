"""Which operations are there, and what are their derivatives? One entry each.

- `table.py`: all of them by name.
- `elementwise.py`, `functions.py`, `rectifiers.py`, `movement.py`, `places.py`, `joining.py`, `reductions.py`,
  `statistics.py`, `losses.py`, `convolution.py`, `normalization.py`: the entries, and the kernels that they need.
"""
