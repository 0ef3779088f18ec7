// Four words at a time: a memory is busy only if every thread asks it for 16 bytes or so at once.

template <typename word> struct alignas(4 * sizeof(word)) Four { word at[4]; };

template <typename word> __device__ inline bool in_fours(const word* x) {
    return ((unsigned long long)x & (sizeof(Four<word>) - 1)) == 0;
}
