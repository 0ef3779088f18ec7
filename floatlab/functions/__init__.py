"""What is f(x), rounded once? Elementary functions of arrays in any format.

- `table.py`: the list of functions, with what is exact and what is special in each.
- `digits.py`: f(x) to any number of digits, in decimal arithmetic.
- `multiprecision.py`: f(x) to as many digits as it takes, rounded to odd or to nearest.
- `tables.py`: the tables of the float64 kernels, made when they are first needed.
- `float64/`: f(x) in float64, with an error that is known.
- `pairs.py`: functions of two numbers.
- `suspects.py`: where a float64 does not tell what f(x) rounds to, and what does there.
- `evaluate.py`: any of these on an array, rounded once.
- `task.py`: one function for one format: what was asked for, and the way to rounded results.
- `on_device.py`: the arrays of a GPU, whose suspects alone visit the host.
"""
