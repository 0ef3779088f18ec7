// The words of NumPy's PCG64: a linear congruential generator of 128 bits, whose state is folded to 64 and rotated.
// A jump of n steps is one step of another such generator (F. Brown, "Random number generation with arbitrary strides",
// 1994), so that each thread begins where it wants to.

struct uint128 { uint64 high, low; };

__device__ inline uint128 times(uint128 a, uint128 b) {
    return {__umul64hi(a.low, b.low) + a.high * b.low + a.low * b.high, a.low * b.low};
}
__device__ inline uint128 plus(uint128 a, uint128 b) {
    const uint64 low = a.low + b.low;
    return {a.high + b.high + (low < a.low), low};
}
__device__ inline uint128 jump(uint128 state, uint128 multiplier, uint128 increment, uint64 steps) {
    for (; steps != 0; steps >>= 1) {
        if (steps & 1) state = plus(times(state, multiplier), increment);
        increment = plus(times(multiplier, increment), increment);
        multiplier = times(multiplier, multiplier);
    }
    return state;
}
__device__ inline uint64 output(uint128 state) {
    const uint64 folded = state.high ^ state.low;
    const int turn = (int)(state.high >> 58);
    return folded >> turn | folded << ((64 - turn) & 63);
}
