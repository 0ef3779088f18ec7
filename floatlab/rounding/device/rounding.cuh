// Which value of a format does a number become? The four steps of floatlab/rounding/definition.py, on the bits of a
// float. Names in capitals are constants of one conversion, which stand before these lines: what the format is, and
// what was asked for. `word` holds the carrier, the type that the rounding is done in.

enum Mode { NEAREST_EVEN, NEAREST_AWAY, NEAREST_ZERO, TOWARD_ZERO, TOWARD_POSITIVE, TOWARD_NEGATIVE, TO_ODD,
            STOCHASTIC, STOCHASTIC_B, STOCHASTIC_C };

const int P = Float<word>::P;
const word ONE = 1;

// v * 2^n, cut off or to nearest even, of the fraction v = rest / 2^d of a unit.
template <typename parts> __device__ inline parts share(parts rest, int d, int n, bool nearest) {
    if (n >= d) return rest << (n - d);
    const int drop = d - n;
    if (drop >= 8 * (int)sizeof(parts)) return 0;
    const parts whole = rest >> drop;
    if (!nearest) return whole;
    const parts left = rest & (((parts)1 << drop) - 1), half = (parts)1 << (drop - 1);
    return whole + (left > half || (left == half && (whole & 1)));
}

// Whether the fraction and a random integer make a whole: in parts of 2^-n, n bits of which are random.
template <typename parts> __device__ inline bool carries(word rest, int d, uint64 random) {
    const int n = RANDOM_BITS + (MODE == STOCHASTIC_B);
    const parts drawn = (parts)(MODE == STOCHASTIC_B ? 2 * random + 1 : random);
    return (share<parts>((parts)rest, d, n, MODE == STOCHASTIC_C) + drawn) >> n;
}

// Whether the count of units goes up by one. The last d bits of a significand, `rest`, are what is discarded.
__device__ inline bool goes_up(word rest, int d, bool odd, bool negative, uint64 random) {
    if (rest == 0) return false;
    const bool near = d <= P + 1;  // or the number is below a quarter of a unit
    const word half = near ? (ONE << d) >> 1 : 0;
    switch (MODE) {
        case NEAREST_EVEN: return near && (rest > half || (rest == half && odd));
        case NEAREST_AWAY: return near && rest >= half;
        case NEAREST_ZERO: return near && rest > half;
        case TOWARD_ZERO: return false;
        case TOWARD_POSITIVE: return !negative;
        case TOWARD_NEGATIVE: return negative;
        case TO_ODD: return !odd;
        default: return sizeof(word) == 4 && RANDOM_BITS <= 30 ? carries<uint32>((word)rest, d, random)
                                                               : carries<uint64>(rest, d, random);
    }
}

// The parity of a count of units; of a single bit of precision it may be that of the code, which is the exponent's.
__device__ inline bool is_odd(word count, int exponent) {
    return ODD_BY_CODE ? count != 0 && ((exponent + FORMAT_BIAS) & 1) : (count & 1) != 0;
}

// A finite magnitude above 0, rounded as if the exponent had no upper end.
__device__ inline word to_units(word a, bool negative, uint64 random) {
    word significand;
    const int exponent = take_apart(a, significand);
    const int d = P - MANTISSA_BITS + (exponent < EMIN ? EMIN - exponent : 0);   // 1. the unit is 2^(exponent - P + d)
    const word count = d <= P ? significand >> d : (word)0;                      // 2. count units
    const word rest = significand - (d <= P ? count << d : (word)0);
    const bool up = goes_up(rest, d, is_odd(count, exponent), negative, random);  // 3. decide
    return put_together<word>(count + up, exponent - P + d);
}

// The word of the value that the number of this word becomes.
__device__ inline word rounded(word x, uint64 random) {
    const word a = x & Bits<word>::magnitude, sign = x & Bits<word>::sign;
    const bool negative = sign != 0;
    // The usual number is normal in the carrier and no larger than the largest value. Where it is a unit or more, the
    // bits below the unit are cut off, or carried into it, where they stand; no sum leaves the range.
    const word usual = IS_SIGNED ? a : x;
    if (HAS_USUAL && usual - USUAL_FROM <= USUAL_TO - USUAL_FROM) {
        const int exponent = (int)(a >> P) - Float<word>::BIAS;
        const int d = P - MANTISSA_BITS + (BELOW_NORMAL && exponent < EMIN ? EMIN - exponent : 0);
        const bool whole = !BELOW_NORMAL || d <= P;  // else it is a fraction of a unit, of the smallest value
        const word unit = whole ? ONE << (whole ? d : 0) : SMALLEST;
        const word rest = whole ? a & (unit - 1) : (a & ((ONE << P) - 1)) | ONE << P;
        const word count = !whole ? (word)0 : d == P ? ONE : a >> d;  // at d = P the hidden bit alone counts
        const bool up = goes_up(rest, d, is_odd(count, exponent), negative, random);
        word value = (whole ? a - rest : (word)0) + (up ? unit : (word)0);
        if (value < LEAST) value = LEAST;
        return value == 0 && !HAS_NEGATIVE_ZERO ? (word)0 : sign | value;
    }
    if (a >= Bits<word>::infinity) {
        if (a > Bits<word>::infinity) return negative ? NAN_BELOW : NAN_ABOVE;
        return negative ? INFINITE_BELOW : INFINITE_ABOVE;
    }
    if (a == 0 || (FLUSH_INPUTS && a < SMALLEST_NORMAL)) return negative ? ZERO_BELOW : ZERO_ABOVE;
    word value = to_units(a, negative, random);
    if (FLUSH_RESULTS && value < SMALLEST_NORMAL) value = 0;
    if (value < LEAST) value = LEAST;  // a format without zero
    // 4. Look at the ends: P3109 looks at the rounded value, others let no negative number into an unsigned format.
    if (!negative) return value > LARGEST ? OVER_ABOVE : value;
    if (IS_SIGNED ? value > LARGEST : !IS_P3109 || value != 0) return OVER_BELOW;
    return value == 0 && !HAS_NEGATIVE_ZERO ? (word)0 : sign | value;
}
