"""The machine that runs PTX, held to Python's integers and to the manual. The text is written by hand: no NVRTC."""

import itertools
import struct

import numpy as np
import pytest

from device.ptx import Memory, Program
from device.ptx_instructions import PtxError

HEAD = ".version 8.0\n.target sm_90\n.address_size 64\n"


def program(body, pointers):
    """Return a kernel of pointers whose registers %rd1, %rd2, ... hold the addresses of this thread's 8 bytes."""
    parameters = ", ".join(f".param .u64 p{k}" for k in range(pointers))
    loads = "".join(
        f"ld.param.u64 {rd}, [p{k}]; cvta.to.global.u64 {rd}, {rd}; add.s64 {rd}, {rd}, %rd20;"
        for k, rd in enumerate(f"%rd{k + 1}" for k in range(pointers))
    )
    return Program(f"""{HEAD}
    .visible .entry k({parameters})
    {{
      .reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<30>; .reg .f32 %f<9>; .reg .f64 %fd<9>; .reg .b64 %rd<30>;
      mov.u32 %r20, %ctaid.x; mov.u32 %r21, %ntid.x; mov.u32 %r22, %tid.x;
      mad.lo.s32 %r23, %r20, %r21, %r22;
      mul.wide.u32 %rd20, %r23, 8;
      {loads}
      {body}
      ret;
    }}""")


def run(body, *words):
    """Return the 64-bit words that this body stores for each thread: its inputs at %rd1, ..., its output last."""
    size = -(-len(words[0]) // 128) * 128  # whole blocks: each thread has its words
    arrays = [np.resize(np.array(w, np.uint64), size) for w in words] + [np.zeros(size, np.uint64)]
    memory = Memory()
    addresses = [struct.pack("Q", memory.place(array)) for array in arrays]
    program(body, len(arrays)).launch(addresses, memory, size)
    return [int(x) for x in arrays[-1][: len(words[0])]]


CORNERS = [
    0,
    1,
    2,
    3,
    31,
    32,
    33,
    63,
    64,
    0x7F,
    0x80,
    0xFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x123456789ABCDEF,
]
CORNERS += [0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0xFEDCBA9876543210, 0x100000000]
PAIRS = [*itertools.product(CORNERS, CORNERS)]
FIRST, SECOND = [x for x, _ in PAIRS], [y for _, y in PAIRS]


def signed(x, bits):
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def towards_zero(x, y):
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


# The instruction, its type, and what Python's integers say: of unsigned, or of signed numbers.
INTEGERS = [
    ("add", "s{}", lambda x, y, n: x + y),
    ("sub", "s{}", lambda x, y, n: x - y),
    ("mul.lo", "s{}", lambda x, y, n: x * y),
    ("mul.lo", "u{}", lambda x, y, n: x * y),
    ("mul.hi", "u{}", lambda x, y, n: x * y >> n),
    ("mul.hi", "s{}", lambda x, y, n: x * y >> n),
    ("min", "s{}", lambda x, y, n: min(x, y)),
    ("max", "s{}", lambda x, y, n: max(x, y)),
    ("min", "u{}", lambda x, y, n: min(x, y)),
    ("max", "u{}", lambda x, y, n: max(x, y)),
    ("and", "b{}", lambda x, y, n: x & y),
    ("or", "b{}", lambda x, y, n: x | y),
    ("xor", "b{}", lambda x, y, n: x ^ y),
]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("name", "kind", "expected"), INTEGERS, ids=[f"{n}.{k}" for n, k, _ in INTEGERS])
def test_integer_instructions_are_pythons_integers_cut_to_the_width(name, kind, expected, bits):
    r = "%r" if bits == 32 else "%rd"
    body = f"""ld.global.b{bits} {r}11, [%rd1]; ld.global.b{bits} {r}12, [%rd2];
    {name}.{kind.format(bits)} {r}13, {r}11, {r}12; st.global.b{bits} [%rd3], {r}13;"""
    read = signed if kind.startswith("s") else lambda x, n: x & ((1 << n) - 1)
    want = [expected(read(x, bits), read(y, bits), bits) & ((1 << bits) - 1) for x, y in PAIRS]
    assert run(body, FIRST, SECOND) == want


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_division_cuts_towards_zero_and_the_rest_has_the_dividends_sign(kind):
    bits, r = int(kind[1:]), "%r" if kind.endswith("32") else "%rd"
    read = (lambda x: signed(x, bits)) if kind[0] == "s" else (lambda x: x & ((1 << bits) - 1))
    pairs = [(x, y) for x, y in PAIRS if read(y) != 0 and (read(x), read(y)) != (-(1 << (bits - 1)), -1)]
    body = f"""ld.global.{kind} {r}11, [%rd1]; ld.global.{kind} {r}12, [%rd2];
    {{}}.{kind} {r}13, {r}11, {r}12; st.global.{kind} [%rd3], {r}13;"""
    whole = [towards_zero(read(x), read(y)) for x, y in pairs]
    rest = [read(x) - read(y) * q for (x, y), q in zip(pairs, whole, strict=True)]
    first, second = [x for x, _ in pairs], [y for _, y in pairs]
    assert run(body.format("div"), first, second) == [q & ((1 << bits) - 1) for q in whole]
    assert run(body.format("rem"), first, second) == [q & ((1 << bits) - 1) for q in rest]


@pytest.mark.parametrize("kind", ["u32", "s32", "b64", "s64", "u64"])
def test_shifts_go_at_most_as_far_as_the_width_and_copy_a_signed_numbers_sign(kind):
    bits, r = int(kind[1:]), "%r" if kind.endswith("32") else "%rd"
    read = (lambda x: signed(x, bits)) if kind[0] == "s" else (lambda x: x & ((1 << bits) - 1))
    by = [y & 0xFFFFFFFF for y in SECOND]
    body = f"""ld.global.{kind} {r}11, [%rd1]; ld.global.u32 %r12, [%rd2];
    {{}} {r}13, {r}11, %r12; st.global.{kind} [%rd3], {r}13;"""
    left = [(x << min(y, bits)) & ((1 << bits) - 1) for x, y in zip(FIRST, by, strict=True)]
    right = [(read(x) >> min(y, bits)) & ((1 << bits) - 1) for x, y in zip(FIRST, by, strict=True)]
    assert run(body.format(f"shl.b{bits}"), FIRST, SECOND) == left
    assert run(body.format(f"shr.{kind}"), FIRST, SECOND) == right


def test_products_that_widen_and_sums_of_them_have_all_their_bits():
    body = """ld.global.b32 %r11, [%rd1]; ld.global.b32 %r12, [%rd2];
    mad.wide.{0}32 %rd13, %r11, %r12, 7; st.global.b64 [%rd3], %rd13;"""
    for kind, read in (("s", signed), ("u", lambda x, n: x & ((1 << n) - 1))):
        want = [(read(x, 32) * read(y, 32) + 7) & (2**64 - 1) for x, y in PAIRS]
        assert run(body.format(kind), FIRST, SECOND) == want


@pytest.mark.parametrize("bits", [32, 64])
def test_leading_zeros_and_ones_are_counted(bits):
    r = "%r" if bits == 32 else "%rd"
    words = [*CORNERS, *(1 << k for k in range(64)), *((1 << k) - 1 for k in range(64))]
    body = f"ld.global.b{bits} {r}11, [%rd1]; {{}}.b{bits} %r13, {r}11; st.global.u32 [%rd2], %r13;"
    cut = [x & ((1 << bits) - 1) for x in words]
    assert run(body.format("clz"), words) == [bits - x.bit_length() for x in cut]
    assert run(body.format("popc"), words) == [x.bit_count() for x in cut]


def test_bytes_are_picked_and_words_shifted_side_by_side():
    load = "ld.global.b32 %r11, [%rd1]; ld.global.b32 %r12, [%rd2];"
    words = [(x & 0xFFFFFFFF, y & 0xFFFFFFFF) for x, y in PAIRS]
    for selector in (0x3210, 0x7654, 0x0123, 0x8F9A, 0x5410):
        body = f"{load} prmt.b32 %r13, %r11, %r12, {selector}; st.global.b32 [%rd3], %r13;"
        assert run(body, FIRST, SECOND) == [picked(x, y, selector) for x, y in words]
    for by in (0, 1, 8, 31, 32, 40):
        body = f"{load} shf.{{}}.b32 %r13, %r11, %r12, {by}; st.global.b32 [%rd3], %r13;"
        both = [y << 32 | x for x, y in words]
        assert run(body.format("r.wrap"), FIRST, SECOND) == [v >> by % 32 & 0xFFFFFFFF for v in both]
        assert run(body.format("l.clamp"), FIRST, SECOND) == [
            v << min(by, 32) >> 32 & 0xFFFFFFFF for v in both
        ]


def picked(x, y, selector):
    eight = (y << 32 | x).to_bytes(8, "little")
    chosen = []
    for k in range(4):
        digit = selector >> 4 * k & 15
        byte = eight[digit & 7]
        chosen.append(0xFF * (byte >> 7) if digit & 8 else byte)
    return int.from_bytes(bytes(chosen), "little")


def test_any_logic_of_three_and_any_field_of_bits():
    body = "ld.global.b32 %r11, [%rd1]; ld.global.b32 %r12, [%rd2];"
    for table in (0x96, 0xE8, 0xCA, 0x1F):
        code = f"{body} lop3.b32 %r13, %r11, %r12, 0x0F0F5A5A, {table}; st.global.b32 [%rd3], %r13;"
        want = [
            sum(
                (table >> ((x >> k & 1) << 2 | (y >> k & 1) << 1 | (0x0F0F5A5A >> k & 1)) & 1) << k
                for k in range(32)
            )
            for x, y in PAIRS
        ]
        assert run(code, FIRST, SECOND) == want
    for start, length in ((0, 8), (5, 27), (31, 4), (40, 3), (4, 0), (0, 32)):
        code = (
            f"ld.global.b32 %r11, [%rd1]; bfe.u32 %r13, %r11, {start}, {length}; st.global.b32 [%rd2], %r13;"
        )
        assert run(code, CORNERS) == [(x & 0xFFFFFFFF) >> start & ((1 << length) - 1) for x in CORNERS]
    for start, length in ((0, 8), (52, 12), (63, 4), (70, 3), (4, 0), (0, 64)):
        code = "ld.global.b64 %rd11, [%rd1]; ld.global.b64 %rd12, [%rd2];"
        code += f"bfi.b64 %rd13, %rd11, %rd12, {start}, {length}; st.global.b64 [%rd3], %rd13;"
        field = ((1 << length) - 1) << start & (2**64 - 1)
        assert run(code, FIRST, SECOND) == [y & ~field | x << start & field for x, y in PAIRS]


def test_a_narrow_number_is_extended_by_its_sign_and_a_wide_one_cut():
    body = "ld.global.{0} %r11, [%rd1]; st.global.b32 [%rd2], %r11;"
    assert run(body.format("s8"), CORNERS) == [signed(x, 8) & 0xFFFFFFFF for x in CORNERS]
    assert run(body.format("u16"), CORNERS) == [x & 0xFFFF for x in CORNERS]
    body = "ld.global.b64 %rd11, [%rd1]; cvt.{0} {1}, %rd11; st.global.{2} [%rd2], {1};"
    assert run(body.format("s32.s64", "%r3", "b32"), CORNERS) == [x & 0xFFFFFFFF for x in CORNERS]
    assert run(body.format("s64.s16", "%rd3", "b64"), CORNERS) == [signed(x, 16) % 2**64 for x in CORNERS]
    assert run(body.format("u16.u64", "%rs3", "b16"), CORNERS) == [x & 0xFFFF for x in CORNERS]


def test_a_wide_word_is_packed_out_of_its_halves_and_taken_apart():
    body = "ld.global.b64 %rd11, [%rd1]; mov.b64 {%r1, %r2}, %rd11; mov.b64 %rd12, {%r2, %r1};"
    body += "st.global.b64 [%rd2], %rd12;"
    assert run(body, CORNERS) == [(x & 0xFFFFFFFF) << 32 | x >> 32 for x in CORNERS]


def test_words_side_by_side_are_read_and_written_together():
    body = "ld.global.v2.b32 {%r1, %r2}, [%rd1]; xor.b32 %r1, %r1, 1; st.global.v2.b32 [%rd2], {%r2, %r1};"
    assert run(body, CORNERS) == [(x & 0xFFFFFFFF ^ 1) << 32 | x >> 32 for x in CORNERS]
    body = "ld.global.v4.u16 {%rs1, %rs2, %rs3, %rs4}, [%rd1]; st.global.v4.b16 [%rd2], {%rs3, %rs4, %rs1, %rs2};"
    assert run(body, CORNERS) == [(x & 0xFFFFFFFF) << 32 | x >> 32 for x in CORNERS]


# -- floats ----------------------------------------------------------------------------------------


def bits32(*values):
    return [int(x) for x in np.array(values, np.float32).view(np.uint32)]


SMALL = float(np.float32(2.0**-126))


def test_ftz_reads_and_writes_subnormals_as_zeros_of_their_sign():
    body = (
        "ld.global.f32 %f1, [%rd1]; ld.global.f32 %f2, [%rd2]; {} %f3, %f1, %f2; st.global.f32 [%rd3], %f3;"
    )
    x = bits32(2.0**-149, -(2.0**-149), 1.5 * SMALL, 2.0**-130, 1.0)
    y = bits32(0.0, -0.0, -SMALL, 1.0, 2.0**-24)
    assert run(body.format("add.rn.f32"), x, y) == bits32(2.0**-149, -(2.0**-149), SMALL / 2, 1.0, 1.0)
    assert run(body.format("add.rn.ftz.f32"), x, y) == bits32(0.0, -0.0, 0.0, 1.0, 1.0)


def test_ftz_reaches_comparisons_conversions_and_signs():
    load = "ld.global.f32 %f1, [%rd1];"
    tiny = bits32(2.0**-149, -(2.0**-149))
    compare = load + "setp.ne{}.f32 %p1, %f1, 0f00000000; selp.u32 %r1, 1, 0, %p1; st.global.u32 [%rd2], %r1;"
    assert run(compare.format(""), tiny) == [1, 1]
    assert run(compare.format(".ftz"), tiny) == [0, 0]
    widen = load + "cvt{}.f64.f32 %fd1, %f1; st.global.f64 [%rd2], %fd1;"
    assert run(widen.format(""), tiny) == [
        int(x) for x in np.array([2.0**-149, -(2.0**-149)]).view(np.uint64)
    ]
    assert run(widen.format(".ftz"), tiny) == [0, 1 << 63]
    narrow = "ld.global.f64 %fd1, [%rd1]; cvt.rn{}.f32.f64 %f1, %fd1; st.global.f32 [%rd2], %f1;"
    wide = [int(x) for x in np.array([2.0**-149, -(2.0**-127)]).view(np.uint64)]
    assert run(narrow.format(""), wide) == bits32(2.0**-149, -(2.0**-127))
    assert run(narrow.format(".ftz"), wide) == bits32(0.0, -0.0)
    assert run(load + "neg.ftz.f32 %f1, %f1; st.global.f32 [%rd2], %f1;", tiny) == bits32(-0.0, 0.0)


def test_minimum_and_maximum_order_zeros_and_prefer_a_number_to_nan():
    body = "ld.global.f32 %f1, [%rd1]; ld.global.f32 %f2, [%rd2]; {}.f32 %f3, %f1, %f2; st.global.f32 [%rd3], %f3;"
    x, y = bits32(0.0, -0.0, np.nan, 1.0, 2.0), bits32(-0.0, 0.0, 3.0, np.nan, -1.0)
    assert run(body.format("min"), x, y) == bits32(-0.0, -0.0, 3.0, 1.0, -1.0)
    assert run(body.format("max"), x, y) == bits32(0.0, 0.0, 3.0, 1.0, 2.0)


def test_copysign_takes_the_sign_of_the_first_and_the_size_of_the_second():
    body = "ld.global.f32 %f1, [%rd1]; ld.global.f32 %f2, [%rd2];"
    body += "copysign.f32 %f3, %f1, %f2; st.global.f32 [%rd3], %f3;"
    assert run(body, bits32(-1.0, 2.0, -0.0), bits32(3.0, -4.0, 0.0)) == bits32(-3.0, 4.0, -0.0)


def test_a_nan_has_the_sign_and_payload_that_no_kernel_may_count_on():
    body = "ld.global.f32 %f1, [%rd1]; add.rn.f32 %f1, %f1, 0f3F800000; st.global.f32 [%rd2], %f1;"
    assert run(body, [0xFFC00001, 0x7F800001]) == [0x7FFFFFFF, 0x7FFFFFFF]


def test_a_comparison_with_nan_is_false_or_true_where_it_ends_with_u():
    body = """ld.global.f32 %f1, [%rd1]; setp.{}.f32 %p1|%p2, %f1, 0f3F800000;
    selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 2, 0, %p2; or.b32 %r1, %r1, %r2; st.global.u32 [%rd2], %r1;"""
    x = bits32(0.5, 1.0, 2.0, np.nan)
    answers = {"lt": "1000", "le": "1100", "gt": "0010", "ge": "0110", "eq": "0100", "ne": "1010"}
    answers |= {"ltu": "1001", "leu": "1101", "gtu": "0011", "geu": "0111", "equ": "0101", "neu": "1011"}
    answers |= {"num": "1110", "nan": "0001"}
    for name, want in answers.items():
        assert run(body.format(name), x) == [1 if digit == "1" else 2 for digit in want], name


def test_a_float_becomes_an_integer_within_its_ends():
    body = "ld.global.f64 %fd1, [%rd1]; cvt.{0}.f64 {1}, %fd1; st.global.{2} [%rd2], {1};"
    x = [2.5, -2.5, 3.5, 1e300, -1e300, np.nan, 2.0**31 - 0.25]
    words = [int(w) for w in np.array(x).view(np.uint64)]
    want = [2, -2, 3, 2**31 - 1, -(2**31), -(2**31), 2**31 - 1]
    assert run(body.format("rzi.s32", "%r1", "b32"), words) == [w & 0xFFFFFFFF for w in want]
    want = [2, -2, 4, 2**63 - 1, -(2**63), -(2**63), 2**31]
    assert run(body.format("rni.s64", "%rd5", "b64"), words) == [w % 2**64 for w in want]
    want = [2, 0, 3, 2**32 - 1, 0, 2**31, 2**31 - 1]
    assert run(body.format("rmi.u32", "%r1", "b32"), words) == want


def test_an_integer_becomes_the_nearest_float():
    body = "ld.global.b64 %rd11, [%rd1]; cvt.rn.f32.u64 %f1, %rd11; st.global.f32 [%rd2], %f1;"
    words = [0, 1, 2**24 + 1, 2**24 + 3, 2**64 - 1]
    assert run(body, words) == bits32(0.0, 1.0, 2.0**24, 2.0**24 + 4, 2.0**64)


# -- where lanes go --------------------------------------------------------------------------------


def test_lanes_part_at_a_branch_go_round_a_loop_each_as_often_as_it_must_and_meet_again():
    body = """ld.global.b64 %rd11, [%rd1]; mov.u64 %rd12, 0;
    setp.eq.s64 %p1, %rd11, 0; @%p1 bra $DONE;
    $AGAIN:
      and.b64 %rd13, %rd11, 1; setp.ne.s64 %p2, %rd13, 0; @!%p2 bra $EVEN;
      add.s64 %rd12, %rd12, 100;
    $EVEN: add.s64 %rd12, %rd12, 1; shr.u64 %rd11, %rd11, 1;
      setp.ne.s64 %p3, %rd11, 0; @%p3 bra.uni $AGAIN;
    $DONE: st.global.b64 [%rd2], %rd12;"""
    words = [0, 1, 5, 1023, *range(300)]
    assert run(body, words) == [x.bit_length() + 100 * x.bit_count() for x in words]


def test_a_guard_holds_back_the_lanes_where_it_is_false():
    body = """ld.global.b64 %rd11, [%rd1]; setp.lt.u64 %p1, %rd11, 3; mov.u64 %rd12, 7;
    @%p1 mov.u64 %rd12, 8; @!%p1 add.s64 %rd12, %rd12, 2; @%p1 st.global.b64 [%rd2], %rd12;"""
    assert run(body, range(6)) == [8, 8, 8, 0, 0, 0]


def test_predicates_are_joined_set_and_reversed():
    body = """ld.global.b64 %rd11, [%rd1]; setp.lt.u64 %p1, %rd11, 4; setp.gt.and.u64 %p2, %rd11, 1, %p1;
    mov.pred %p3, -1; mov.pred %p4, 0; xor.pred %p5, %p2, %p3; or.pred %p5, %p5, %p4; not.pred %p6, %p5;
    setp.eq.or.u64 %p6, %rd11, 9, %p6; setp.ne.xor.u64 %p7, %rd11, 0, !%p6;
    selp.u64 %rd12, 1, 0, %p6; selp.u64 %rd13, 2, 0, %p7; or.b64 %rd12, %rd12, %rd13; st.global.b64 [%rd2], %rd12;"""
    sixth = [1 < x < 4 or x == 9 for x in range(10)]
    assert run(body, range(10)) == [s + 2 * ((x != 0) ^ (not s)) for x, s in enumerate(sixth)]


# -- what it refuses, by name ----------------------------------------------------------------------

REFUSED = {
    "fma.rn.f32 %f1, %f1, %f1, %f1;": "doesn't know fma",
    "atom.global.add.f32 %f1, [%rd1], %f1;": "doesn't know atom",
    "add.sat.f32 %f1, %f1, %f1;": "doesn't know .sat of add",
    "add.f32 %f1, %f1, %f1;": "knows add with one of .rn",
    "add.rz.f32 %f1, %f1, %f1;": "doesn't know .rz of add",
    "div.approx.f32 %f1, %f1, %f1;": "doesn't know .approx of div",
    "mad.rn.f32 %f1, %f1, %f1, %f1;": "doesn't know .rn of mad",
    "cvt.sat.u8.u32 %rs1, %r1;": "doesn't know .sat of cvt",
    "ld.global.v8.b32 {%r1, %r2}, [%rd1];": "doesn't know .v8 of ld",
    "ld.global.v4.b32 {%r1, %r2}, [%rd1];": "are not a vector of this length",
    "ld.global.v2.b32 {%r1, %r2}, [%rd1+4];": "not aligned",
    "ld.shared.b32 %r1, [%rd1];": "doesn't know .shared of ld",
    "mov.b32 %r1, %laneid;": "doesn't know the register %laneid",
    "mov.b32 %r1, table;": "doesn't know the operand table",
    "mov.b64 %rd1, %r1;": "has 32 bits, and is read as b64",
    "mov.b64 %r1, %rd1;": "has 32 bits, and is given a b64",
    "div.s32 %r1, %r1, 0;": "divided by zero",
    "bra $NOWHERE;": "no such label",
    "ld.global.b32 %r1, [%rd1+4096];": "lies behind",
    "ld.global.b32 %r1, [%rd1+2];": "not aligned",
    "mov.u64 %rd9, 0; ld.global.b32 %r1, [%rd9];": "lies in no array",
    "mul.wide.u64 %rd9, %rd1, %rd1;": "no register holds 128 bits",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_it_does_not_know_is_refused_by_name(statement):
    with pytest.raises(PtxError) as caught:
        run(statement, [1, 2])
    assert REFUSED[statement] in str(caught.value)


def test_a_text_with_functions_several_kernels_or_no_end_is_refused():
    with pytest.raises(PtxError, match=r"neither functions"):
        Program(HEAD + ".func f() { ret; }\n.visible .entry k(.param .u64 p) { ret; }")
    with pytest.raises(PtxError, match=r"This text has 2"):
        Program(HEAD + ".visible .entry k(.param .u64 p) { ret; }\n.visible .entry m(.param .u64 p) { ret; }")
    endless = Program(HEAD + ".visible .entry k(.param .u32 p) { .reg .b32 %r<2>; mov.u32 %r1, 3; }")
    with pytest.raises(PtxError, match="ends without ret"):
        endless.launch([bytes(4)], Memory(), 1)
    with pytest.raises(PtxError, match=r"have \[4\] bytes. Got \[8\]"):
        endless.launch([bytes(8)], Memory(), 1)
