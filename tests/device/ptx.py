"""A small machine that runs PTX, the text that NVRTC makes of a kernel, without a chip: a lane for each thread.

Every register is a NumPy array with one word for each lane, and an instruction is a NumPy expression over the
lanes that stand at it. Lanes part at a branch. The group with the lowest place in the program goes on first and
takes with it those that wait where it arrives, so that what parted comes together again by itself.

What the machine claims is what the PTX manual says of an instruction: that `.ftz` reads a float32 subnormal as
zero and writes one as zero is done, too, so that a kernel that the flag reaches gives other bits here, as on a chip.
Whatever it has not learnt (an instruction, a modifier, an address that no array has) is refused by name:
it never goes on with a guess. What an instruction computes lies in `ptx_instructions`.

The manual: https://docs.nvidia.com/cuda/parallel-thread-execution/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .ptx_instructions import COMPUTED, JOINED, TYPES, Instruction, PtxError, compare, word

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 128  # threads in a block, as CuPy launches elementwise kernels
REGION = (
    40  # each array has 2**40 addresses of its own: none of them can be reached from another's by mistake
)
FORGOTTEN = 0xA5A5A5A5A5A5A5A5  # what stands in a register before anything is written to it: no number anyone waits for


class Memory:
    """Global memory: arrays at addresses of their own, with nothing between them that could be read by mistake."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []

    def place(self, array: Array) -> int:
        """Return the address at which this one-dimensional array now lies; what is stored there changes it."""
        self._arrays.append(array)
        return len(self._arrays) << REGION

    def locate(self, addresses: Array, dtype: np.dtype[Any], count: int, text: str) -> tuple[Array, Array]:
        """Return the array that all these addresses point into, seen as `dtype`, and where `count` words begin."""
        regions = addresses >> np.uint64(REGION)
        number = int(regions[0])
        if not 1 <= number <= len(self._arrays) or (regions != number).any():
            raise PtxError(
                f"{text}: the address {int(addresses[0]):#x} lies in no array, or lanes point into several."
            )
        words = self._arrays[number - 1].view(dtype)
        offsets = addresses - np.uint64(number << REGION)
        indices = (offsets // np.uint64(dtype.itemsize)).astype(np.int64)
        if (offsets % np.uint64(count * dtype.itemsize)).any() or indices.max() + count > len(words):
            raise PtxError(
                f"{text}: an address is not aligned, or lies behind the {len(words)} words of its array."
            )
        return words, indices


class Program:
    """One kernel, read from PTX.

    Attributes
    ----------
    parameters : dict[str, int]
        Its parameters in order, with their sizes in bytes.
    instructions : list[Instruction]
    steps : int
        How many instructions the last launch has run, however many lanes stood at each.
    """

    def __init__(self, text: str) -> None:
        text = re.sub(r"//[^\n]*", "", text)
        entries = re.findall(r"\.entry\s+\w+\s*\((.*?)\)[^{]*\{(.*)\}", text, re.S)
        if len(entries) != 1 or text.count(".entry") != 1:
            raise PtxError(f"A program is read with one .entry. This text has {text.count('.entry')}.")
        if found := re.search(r"\.func|\.(local|shared|const)\s+\.align", text):
            raise PtxError(
                f"This machine has neither functions nor memory other than global. Got {found.group()}."
            )
        head, body = entries[0]
        self.parameters = dict(_parameter(line) for line in head.split(",") if line.strip())
        self.instructions: list[Instruction] = []
        self._labels: dict[str, int] = {}
        self._widths: dict[str, str] = {}
        for statement in _statements(body):
            if statement.endswith(":"):
                self._labels[statement[:-1]] = len(self.instructions)
            elif statement.startswith(".reg"):
                self._widths |= _registers(statement)
            elif not statement.startswith(".pragma"):
                self.instructions.append(Instruction.read(statement))
        self.steps = 0

    def launch(self, arguments: Sequence[bytes], memory: Memory, threads: int) -> None:
        """Run the kernel with these parameters, each as its bytes, on this many threads, rounded up to whole blocks."""
        if [len(value) for value in arguments] != [*self.parameters.values()]:
            raise PtxError(
                f"The parameters have {[*self.parameters.values()]} bytes. Got {[*map(len, arguments)]}."
            )
        blocks = -(-threads // BLOCK)
        state = _State(self._widths, dict(zip(self.parameters, arguments, strict=True)), memory, blocks)
        waiting = {0: np.arange(blocks * BLOCK)}
        self.steps = 0
        with np.errstate(all="ignore"):
            while waiting:
                place = min(waiting)
                lanes = waiting.pop(place)
                self.steps += 1
                for there, group in self._step(place, lanes, state):
                    if there in waiting:
                        waiting[there] = np.sort(np.concatenate([waiting[there], group]), kind="stable")
                    elif group.size:
                        waiting[there] = group

    def _step(self, place: int, lanes: Array, state: _State) -> Iterator[tuple[int, Array]]:
        """Run the instruction at `place`, and yield the places where its lanes stand then."""
        if place == len(self.instructions):
            raise PtxError("The program ends without ret.")
        op = self.instructions[place]
        chosen, others = lanes, lanes[:0]
        if op.guard is not None:
            state.take(lanes)
            true = state.read(op.guard, "pred")
            chosen, others = lanes[true], lanes[~true]
        if op.name not in ("bra", "ret", "exit"):
            state.take(chosen)
            state.run(op)
            yield place + 1, lanes
            return
        op.only("uni")
        yield place + 1, others
        if op.name == "bra":
            if op.operands[0] not in self._labels:
                raise PtxError(f"{op.text}: there is no such label.")
            yield self._labels[op.operands[0]], chosen


class _State:
    """The registers of all lanes, and the lanes that the next instruction is for."""

    def __init__(
        self, widths: dict[str, str], parameters: dict[str, bytes], memory: Memory, blocks: int
    ) -> None:
        self._widths, self._parameters, self._memory = widths, parameters, memory
        self._count = blocks * BLOCK
        self._registers: dict[str, Array] = {}
        block, thread = np.divmod(np.arange(self._count, dtype=np.uint32), np.uint32(BLOCK))
        self._special = {
            "%tid.x": thread,
            "%ctaid.x": block,
            "%ntid.x": np.full(self._count, BLOCK, np.uint32),
            "%nctaid.x": np.full(self._count, blocks, np.uint32),
        }
        self._lanes: Array | slice = slice(None)
        self._size = self._count

    def take(self, lanes: Array) -> None:
        """Let what follows be for these lanes."""
        self._size = lanes.size
        if (
            lanes.size and lanes[-1] - lanes[0] + 1 == lanes.size
        ):  # most often all: a view is read, and no copy
            self._lanes = slice(int(lanes[0]), int(lanes[-1]) + 1)
        else:
            self._lanes = lanes

    def run(self, op: Instruction) -> None:
        """Run an instruction for the lanes that were taken."""
        if self._size == 0:
            return
        if op.name in ("ld", "st"):
            self._load_or_store(op)
        elif op.name == "setp":
            self._compare(op)
        elif op.name == "mov" and "{" in op.text:
            self._pack(op)
        elif op.name in COMPUTED:
            row = COMPUTED[op.name]
            result = row.writes(op)
            types = (row.reads.get(k, op.type) for k in range(len(op.operands) - 1))
            values = [
                self.read(x, result if t == "result" else t)
                for x, t in zip(op.operands[1:], types, strict=True)
            ]
            self.write(op.operands[0], row(op, *values), result)
        else:
            raise PtxError(f"{op.text}: this machine doesn't know {op.name}.")

    def read(self, operand: str, kind: str) -> Array:
        """Return an operand of the lanes that were taken, as this type: of a wider register, the low bits."""
        dtype = TYPES[kind]
        if kind == "pred" and "%" not in operand:
            return np.full(self._size, _literal(operand, word(32)) != 0)
        if kind == "pred":
            found = self._register(operand.lstrip("!"))
            return ~found if operand.startswith("!") else found
        if operand in self._special:
            return self._special[operand][self._lanes].astype(dtype)
        if operand.startswith("%"):
            found = self._register(operand)
            if found.dtype.itemsize < dtype.itemsize:
                raise PtxError(f"{operand} has {8 * found.dtype.itemsize} bits, and is read as {kind}.")
            return found.astype(word(8 * dtype.itemsize), copy=False).view(dtype)
        return np.full(self._size, _literal(operand, dtype))

    def write(self, operand: str, value: Array, kind: str) -> None:
        """Set a register of the lanes that were taken; a narrower number is extended by zeros, or by its sign."""
        if operand == "_":
            return
        register = self._whole(operand)
        if kind != "pred":
            if register.dtype.itemsize < value.dtype.itemsize:
                raise PtxError(f"{operand} has {8 * register.dtype.itemsize} bits, and is given a {kind}.")
            if value.dtype.kind == "f":
                value = value.view(word(8 * value.dtype.itemsize))
        register[self._lanes] = value.astype(register.dtype)

    def _whole(self, name: str) -> Array:
        """Return a register of all lanes; at first it holds nothing that anyone would wait for."""
        if name not in self._registers:
            if name not in self._widths:
                raise PtxError(f"This machine doesn't know the register {name}.")
            dtype = (
                np.dtype(bool)
                if self._widths[name] == "pred"
                else word(8 * TYPES[self._widths[name]].itemsize)
            )
            self._registers[name] = np.full(self._count, FORGOTTEN, np.uint64).astype(dtype)
        return self._registers[name]

    def _register(self, name: str) -> Array:
        """Return a register of the lanes that were taken."""
        return self._whole(name)[self._lanes]

    def _load_or_store(self, op: Instruction) -> None:
        """Read or write a parameter, an array's element, or two or four that lie side by side."""
        op.only("param", "global", "nc", "v2", "v4")
        registers, place = op.operands if op.name == "ld" else op.operands[::-1]
        found = re.fullmatch(r"\[(%?\w+)(?:\+(-?\d+))?\]", place)
        if found is None or op.one_of("param", "global") not in op.modifiers:
            raise PtxError(f"{op.text}: this machine doesn't know the address {place}.")
        base, offset = found.group(1), int(found.group(2) or 0)
        names = _parts(registers) if registers.startswith("{") else [registers]
        if len(names) != (2 if "v2" in op.modifiers else 4 if "v4" in op.modifiers else 1):
            raise PtxError(f"{op.text}: so many registers are not a vector of this length.")
        dtype = TYPES[op.type]
        if "param" in op.modifiers:
            for name, value in zip(
                names, np.frombuffer(self._parameters[base], dtype, len(names), offset), strict=True
            ):
                self.write(name, np.full(self._size, value), op.type)
            return
        addresses = self.read(base, "u64") + np.uint64(offset % 2**64)
        words, indices = self._memory.locate(addresses, dtype, len(names), op.text)
        for k, name in enumerate(names):
            if op.name == "ld":
                self.write(name, words[indices + k], op.type)
            else:
                words[indices + k] = self.read(name, op.type)

    def _compare(self, op: Instruction) -> None:
        """Run `setp`: one predicate or two, the second of them the opposite; joined with a third, if there is one."""
        true = compare(op, self.read(op.operands[1], op.type), self.read(op.operands[2], op.type))
        first, *second = op.operands[0].split("|")
        how = [JOINED[m] for m in op.modifiers if m in JOINED]
        for target, value in [(first, true), *((name, ~true) for name in second)]:
            self.write(target, how[0](value, self.read(op.operands[3], "pred")) if how else value, "pred")

    def _pack(self, op: Instruction) -> None:
        """Run `mov` with braces: a wide register out of two halves, the low one first, or two halves out of it."""
        target, source = op.operands
        half = f"b{op.bits // 2}"
        names = _parts(source if source.startswith("{") else target)
        if len(names) != 2:
            raise PtxError(f"{op.text}: this machine packs two halves.")
        if source.startswith("{"):
            low, high = (self.read(x, half).astype(TYPES[op.type]) for x in names)
            self.write(target, high << TYPES[op.type].type(op.bits // 2) | low, op.type)
        else:
            value = self.read(source, op.type)
            for k, name in enumerate(names):
                self.write(name, (value >> value.dtype.type(k * op.bits // 2)).astype(TYPES[half]), half)


# -- reading the text ------------------------------------------------------------------------------


def _parts(braces: str) -> list[str]:
    """Return the names between braces."""
    return [name.strip() for name in braces.strip("{}").split(",")]


def _literal(text: str, dtype: np.dtype[Any]) -> Any:
    """Return a constant: an integer, or a float's bits after 0f or 0d."""
    bits = 8 * dtype.itemsize
    try:
        value = int(text[2:], 16) if text[:2] in ("0f", "0d", "0F", "0D") else int(text, 0)
    except ValueError:
        raise PtxError(f"This machine doesn't know the operand {text}.") from None
    return np.array(value % 2**bits, word(bits)).view(dtype)[()]


def _statements(body: str) -> Iterator[str]:
    """Yield labels, with their colons, and statements, without their semicolons."""
    for piece in re.split(r";|(?<=:)\s", body):
        if piece := piece.lstrip("{} \t\n").rstrip():  # inline assembly stands in braces of its own
            yield piece


def _parameter(line: str) -> tuple[str, int]:
    """Return the name and the bytes of ".param .align 8 .b8 x[32]" or ".param .u32 x"."""
    found = re.fullmatch(r"\s*\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+(\w+)(?:\[(\d+)\])?\s*", line)
    if found is None or found.group(1) not in TYPES:
        raise PtxError(f"This machine doesn't know the parameter {line.strip()}.")
    kind, name, length = found.groups()
    return name, TYPES[kind].itemsize * int(length or 1)


def _registers(statement: str) -> dict[str, str]:
    """Return names and types of ".reg .b32 %r<41>", or of ".reg .b32 t, u"."""
    _, kind, *names = statement.replace(",", " ").split()
    if kind[1:] not in TYPES:
        raise PtxError(f"{statement}: this machine doesn't know registers of this type.")
    found: dict[str, str] = {}
    for name in names:
        counted = re.fullmatch(r"(\S+)<(\d+)>", name)
        every = [f"{counted.group(1)}{k}" for k in range(int(counted.group(2)))] if counted else [name]
        found |= dict.fromkeys(every, kind[1:])
    return found
