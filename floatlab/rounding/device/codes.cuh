// Which bits of a format are this value, and which value are these bits? Magnitudes are in order, so the code of a
// value is the number of values below it: the units in its binade, and the binades passed on the way.

// The code of a value of the format.
__device__ inline uint64 code_of(word x) {
    const word a = x & Bits<word>::magnitude;
    const bool negative = (x & Bits<word>::sign) != 0;
    if (a > Bits<word>::infinity) return NAN_CODE | (negative && NAN_HAS_SIGN ? SIGN_CODE : 0);
    uint64 magnitude = 0;
    if (a == Bits<word>::infinity) magnitude = INFINITY_CODE;
    else if (a != 0) {
        word significand;
        const int exponent = take_apart(a, significand), binade = exponent < EMIN ? EMIN : exponent;
        const uint64 count = significand >> (Float<word>::P - MANTISSA_BITS + binade - exponent);
        magnitude = ((uint64)(binade - EMIN) << MANTISSA_BITS) + count - (HAS_ZERO ? 0 : 1ull << MANTISSA_BITS);
    }
    if (magnitude == 0 && !HAS_NEGATIVE_ZERO) return 0;
    return magnitude | (negative ? SIGN_CODE : 0);
}

// The value of a code.
__device__ inline word value_of(uint64 code) {
    const uint64 size = code & MAGNITUDE_CODES;
    const word sign = (code & SIGN_CODE) != 0 ? Bits<word>::sign : (word)0;
    if (IS_SIGNED && !HAS_NEGATIVE_ZERO && code == SIGN_CODE) return Bits<word>::nan;  // it stands in the place of -0
    if (size > MAX_CODE) return sign | (HAS_INFINITY && size == INFINITY_CODE ? Bits<word>::infinity : Bits<word>::nan);
    const int field = (int)(size >> MANTISSA_BITS);
    const uint64 fraction = size & ((1ull << MANTISSA_BITS) - 1);
    const bool hidden = field != 0 || !HAS_ZERO;
    const int unit = (field == 0 && HAS_ZERO ? 1 : field) - FORMAT_BIAS - MANTISSA_BITS;
    return sign | put_together<word>((word)(fraction | (hidden ? 1ull << MANTISSA_BITS : 0)), unit);
}
