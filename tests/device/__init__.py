"""A device without a device: what takes CuPy's place where there is no GPU.

`installed()` puts a module into ``sys.modules["cupy"]`` whose arrays lie in NumPy arrays that nobody else can
reach. It offers the names and signatures of the installed CuPy (which imports without a GPU) and no others, and differs
from NumPy where CuPy does:

==============================================  ==================================================================
On a device                                     Here
==============================================  ==================================================================
a NumPy array beside a device array             TypeError; only numbers and 0-dimensional NumPy scalars may be there
``np.asarray(x)``, ``np.zeros`` beside `x`      TypeError
``np.abs(x)``                                   goes to the stand-in's own `abs`, as with CuPy, or is refused (`strict`)
float32 subnormals                              flushed by every float32 operation, comparison and cast (``-ftz=true``)
sums, products of matrices                      their terms are added in another order than NumPy adds them
exp, log, sin, ... of float64                   another last bit
``x[i] = v`` with an index twice                the first value stays, where NumPy keeps the last
``add.at``, ``scatter_add``                     in another order; counted as a scatter
an index beyond the end                         wraps
where=, mode=, errstate, nditer, object, ...    are not there
reading the host                                counted, with the line of floatlab that caused it
a kernel's launch                               counted
``ElementwiseKernel``                           compiled by the C++ compiler, and run over the arrays
==============================================  ==================================================================

Files: `ledger` (what is counted), `flushing` (float32 and casts), `arrays` (the array type), `indexing`, `ufuncs`,
`methods`, `functions`, `compiler` and `kernels` (C++), `module` (all of it under CuPy's name), `plugin` (any test file
over device arrays: ``PYTHONPATH=tests python -m pytest -p device.plugin -n 0 tests/rounding``).
"""
