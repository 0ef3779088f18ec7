"""How does a GPU round? One kernel in integers alone, for every format, mode and policy.

CuPy compiles whatever it is given with ``-ftz=true``: each float32 instruction, comparison and conversion of a GPU then
makes zeros of subnormal numbers. So the kernels here take the bits of numbers for integers, and no floating-point
instruction meets a value. That also makes their C++ right wherever it is compiled, which is how it is tested.

- `words.cuh`: the bits of a float, taken apart and put together.
- `rounding.cuh`: the four steps of rounding, on those bits.
- `codes.cuh`: from values to codes and back.
- `four.cuh`: four numbers at a time.
- `pcg64.cuh`: the words of NumPy's generator, from any of them on.
- `files.py`, `constants.py`: the text that is compiled, and the constants of a conversion.
- `rounding.py`: arrays of a device, rounded.
- `random_words.py`: what stochastic rounding draws there.
"""
