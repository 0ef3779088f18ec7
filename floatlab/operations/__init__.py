"""What is a op b, rounded once? ``+ - * /``, square root and fused multiply-add on arrays.

- `error_free.py`: what a float64 operation loses, which is a float64 itself.
- `double_rounding.py`: where computing in a wider type and rounding twice gives the same, and where it does not.
- `special_values.py`: flags, the signs of zeros and of NaNs.
- `integers.py`: the exact result, on Python integers.
- `operate.py`: the operations.
- `full_width.py`: formats that leave float64 no bits to spare.
- `device.py`: the kernel that forms a result, and what it lacks, on a GPU.
- `on_device.py`: the arrays of a GPU, and what a kernel cannot settle.
"""
