"""What does this chip's dot product do? Matrix units as accumulators, equal to the silicon bit for bit.

- `instruction.py`: one instruction: which formats it multiplies, how many products it adds at a time.
- `aligned.py`: NVIDIA's tensor cores: products aligned, cut, added exactly, rounded once. The readable version.
- `tiles.py`: the fast version, in tiles that stay in the cache.
- `scaled.py`: numbers that share scales: Blackwell's MX and NVFP4.
- `steps.py`: fp8 as fp16, in two steps.
- `amd.py`: AMD's matrix cores, three generations.
- `processors.py`: bfloat16 on processors of Intel, AMD and Arm.
- `whole_numbers.py`: integers on processors.
- `operands.py`: operands are values of their formats, or refused.
- `unit.py`: a unit, which is an accumulator with an instruction for each kind of operands.
- `catalogue.py`: the chips, as data.
- `names.py`: which unit a name stands for.
"""

from floatlab.matrix_units.names import get_unit, units
from floatlab.matrix_units.unit import MatrixUnit

__all__ = ["MatrixUnit", "get_unit", "units"]
