"""What has nobody thought of? Random calls of floatlab's public face, held to `floatlab.reference`.

    floatlab verify --fuzz 10              ten minutes, with a fresh seed, which is printed
    floatlab verify --fuzz 10 --seed 7     the same calls on every machine

- `draw.py`: formats with any fields and bias, numbers where roundings go wrong, layouts in memory.
- `case.py`: one try, which is the line of Python that it runs.
- `conversions.py`, `arithmetic.py`, `sums.py`, `arrays.py`: what is tried, and what the reference says should come out.
- `common.py`: what these have in common.
- `checks.py`: the list of all kinds of tries.
- `shrink.py`: how small a failure can be made.
- `campaign.py`: batches of tries, side by side, in a journal that an interrupted run goes on from.
"""
