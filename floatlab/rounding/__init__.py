"""Which representable value does a number become?

- `modes.py`: the rounding modes, an entry each.
- `options.py`: what was asked for, checked: a `Rule`.
- `inputs.py`: anything real, as an array that holds it exactly.
- `numbers.py`: one number of any kind, exactly.
- `texts.py`: the number that a text stands for, exactly.
- `definition.py`: the four steps of rounding, written out; the flags.
- `plan.py`: an array of any shape, a block at a time.
- `pool.py`: pieces of a large array, side by side in threads.
- `quantize.py`: numbers of any kind, rounded once.
- `kernels/`: how a million numbers are rounded quickly.
- `random_integers.py`: what stochastic rounding draws.
- `flags.py`: what happened on the way.
- `odd.py`: rounding to odd, after which another rounding still rounds the exact number.
- `flagged.py`: what a conversion raised, by comparison.
- `ratios.py`: any fraction, rounded on Python integers.
- `device/`: how a GPU rounds.
"""
