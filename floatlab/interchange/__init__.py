"""What is another library's array, as one of NumPy's, and how does a result go back to it?

- `library.py`: what is asked of a library, and where the memory of a device is refused.
- `pytorch.py`, `jax_arrays.py`: tensors and arrays, which share their memory with NumPy's on the CPU.
- `labelled.py`: pandas' and xarray's, whose labels go along.
- `lazy.py`: dask's, which are computed when they are asked for, a block at a time.
- `guests.py`: whose array is this?

None of these libraries is ever imported here: whoever passes an array of theirs has done so.
"""
