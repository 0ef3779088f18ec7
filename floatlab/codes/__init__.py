"""Which bits are that value? Codes of values, values of codes, and who lies next to whom.

- `decode.py`: the values of codes.
- `encode.py`: the codes of numbers.
- `neighbours.py`: the next value up or down, the unit in the last place, and which kind of value a number becomes.
- `device.py`: codes and values in the arrays of a GPU.
"""
