// The bits of a float as an integer, taken apart and put together. No instruction here knows floating point, so that
// no flag of a compiler, and no way of contracting or flushing, can change a result.
//
//     float32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm      a number is (-1)^s * significand * 2^(exponent - P)

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;

// P: mantissa bits; BIAS: the exponent field of 1
template <typename word> struct Float;
template <> struct Float<uint16> { enum { P = 10, BIAS = 15 }; };
template <> struct Float<uint32> { enum { P = 23, BIAS = 127 }; };
template <> struct Float<uint64> { enum { P = 52, BIAS = 1023 }; };

// sign: the bit of the sign; magnitude: all others; infinity: its bits, those of the exponent; nan: those of a quiet NaN
template <typename word> struct Bits {
    enum : word {
        magnitude = (word)(~(word)0) >> 1,
        sign = (word)~magnitude,
        infinity = magnitude & (word)~(((word)1 << Float<word>::P) - 1),
        nan = infinity | (word)1 << (Float<word>::P - 1)
    };
};

template <typename word> __device__ inline bool is_nan(word x) { return (word)(x & Bits<word>::magnitude) > Bits<word>::infinity; }

__device__ inline int leading_zeros(uint16 a) { return __clz((int)a) - 16; }
__device__ inline int leading_zeros(uint32 a) { return __clz((int)a); }
__device__ inline int leading_zeros(uint64 a) { return __clzll((long long)a); }

// The exponent of a finite magnitude above 0, and its significand of P + 1 bits.
template <typename word> __device__ inline int take_apart(word a, word& significand) {
    const int P = Float<word>::P;
    int field = (int)(a >> P);
    if (field == 0) {  // a subnormal number: its leading bit becomes the hidden one
        const int shift = leading_zeros(a) - (8 * (int)sizeof(word) - P - 1);
        significand = (word)(a << shift);
        return 1 - Float<word>::BIAS - shift;
    }
    significand = (word)((a & (((word)1 << P) - 1)) | ((word)1 << P));
    return field - Float<word>::BIAS;
}

// The word of count * 2^unit, which the type holds; the count has at most P + 1 bits.
template <typename word> __device__ inline word put_together(word count, int unit) {
    const int P = Float<word>::P;
    if (count == 0) return 0;
    const int top = 8 * (int)sizeof(word) - 1 - leading_zeros(count);
    const int field = unit + top + Float<word>::BIAS;
    if (field < 1) {  // subnormal
        const int shift = unit + Float<word>::BIAS + P - 1;
        return shift >= 0 ? (word)(count << shift) : (word)(count >> -shift);
    }
    const word fraction = (word)(count << (P - top)) & (((word)1 << P) - 1);
    return ((word)field << P) | fraction;
}

// The same number in another type, which holds it.
template <typename to, typename from> __device__ inline to same_number(from x) {
    const from a = x & Bits<from>::magnitude;
    const to sign = (x & Bits<from>::sign) != 0 ? Bits<to>::sign : (to)0;
    if (a == 0) return sign;
    if (a >= Bits<from>::infinity) return sign | (a > Bits<from>::infinity ? Bits<to>::nan : Bits<to>::infinity);
    const int p = Float<from>::P, q = Float<to>::P;
    from significand;
    int exponent = take_apart(a, significand);
    if (q >= p) return sign | put_together<to>((to)((to)significand << (q >= p ? q - p : 0)), exponent - q);
    // Narrower: the bits that go are zeros; of a number that becomes subnormal there are more of them.
    int drop = p - q + (exponent < 1 - Float<to>::BIAS ? 1 - Float<to>::BIAS - exponent : 0);
    return sign | put_together<to>((to)(significand >> drop), exponent - p + drop);
}
template <> __device__ inline uint32 same_number<uint32, uint32>(uint32 x) { return x; }
template <> __device__ inline uint64 same_number<uint64, uint64>(uint64 x) { return x; }
