"""Which bits are that value? Codes of values, values of codes, and who lies next to whom.

- `encode.py`: codes of numbers and values of codes; neighbours, the unit in the last place.
"""
