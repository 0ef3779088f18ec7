// One instruction of Hopper's matrix units for each block of threads: D = A B + C, with A of 64 x K, B of K x 8 (given as
// 8 x K), C and D of 64 x 8. A row of A or of B is 32 bytes, whatever its type: K is 32 for bytes and 16 for halves.
//
// wgmma takes A from registers and B from shared memory, where it lies as "core matrices" of 8 rows of 16 bytes without
// swizzling (PTX ISA, "Asynchronous warpgroup level matrix instructions").

typedef unsigned char byte;
typedef unsigned short half;
typedef unsigned int word;
typedef unsigned long long descriptor;

struct Fragment { word a[4]; int row, column; };

__device__ inline Fragment prepared(const byte* A, const byte* B, byte* shared) {
    const int thread = threadIdx.x, lane = thread % 32;
    Fragment own;
    own.row = thread / 32 * 16 + lane / 4;
    own.column = lane % 4 * 2;
    for (int part = 0; part < 4; part++) {  // rows r and r + 8, then the second half of K
        const int row = own.row + part % 2 * 8, first = lane % 4 * 4 + part / 2 * 16;
        own.a[part] = *(const word*)(A + row * 32 + first);
    }
    for (int i = thread; i < 256; i += blockDim.x) shared[i % 32 / 16 * 128 + i / 32 * 16 + i % 16] = B[i];
    __syncthreads();
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    return own;
}

// Where B lies: address, and the distance of core matrices along K and along N, in units of 16 bytes.
__device__ inline descriptor place_of(const byte* shared) {
    const descriptor address = (descriptor)__cvta_generic_to_shared(shared) & 0x3ffff;
    return address >> 4 | (descriptor)(128 >> 4) << 16 | (descriptor)(128 >> 4) << 32;
}

#define BEGIN                                                                  \
    __shared__ alignas(128) byte shared[256];                                  \
    const descriptor block = blockIdx.x;                                       \
    const Fragment own = prepared(A + block * 2048, B + block * 256, shared);  \
    const descriptor place = place_of(shared);                                 \
    const int upper = own.row * 8 + own.column, lower = upper + 64;            \
    C += block * 512; D += block * 512;                                        \
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#define END                                                                    \
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");             \
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#define OPERANDS "r"(own.a[0]), "r"(own.a[1]), "r"(own.a[2]), "r"(own.a[3]), "l"(place)

#define TO_FLOAT(NAME, INSTRUCTION, LAST)                                                                      \
    extern "C" __global__ void NAME(const byte* A, const byte* B, const float* C, float* D) {                  \
        BEGIN                                                                                                  \
        float d[4] = {C[upper], C[upper + 1], C[lower], C[lower + 1]};                                         \
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; " INSTRUCTION                                       \
                     " {%0, %1, %2, %3}, {%4, %5, %6, %7}, %8, p, 1, 1" LAST "; }"                             \
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : OPERANDS);                             \
        END                                                                                                    \
        D[upper] = d[0]; D[upper + 1] = d[1]; D[lower] = d[2]; D[lower + 1] = d[3];                            \
    }
#define TO_HALF(NAME, INSTRUCTION, LAST)                                                                       \
    extern "C" __global__ void NAME(const byte* A, const byte* B, const half* C, half* D) {                    \
        BEGIN                                                                                                  \
        word d[2] = {*(const word*)(C + upper), *(const word*)(C + lower)};                                    \
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; " INSTRUCTION                                       \
                     " {%0, %1}, {%2, %3, %4, %5}, %6, p, 1, 1" LAST "; }"                                     \
                     : "+r"(d[0]), "+r"(d[1]) : OPERANDS);                                                     \
        END                                                                                                    \
        *(word*)(D + upper) = d[0]; *(word*)(D + lower) = d[1];                                                \
    }

TO_FLOAT(e4m3_fp32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3", "")
TO_FLOAT(e5m2_fp32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e5m2", "")
TO_HALF(e4m3_fp16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e4m3.e4m3", "")
TO_HALF(e5m2_fp16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e5m2.e5m2", "")
TO_FLOAT(fp16_fp32, "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16", ", 0")
TO_HALF(fp16_fp16, "wgmma.mma_async.sync.aligned.m64n8k16.f16.f16.f16", ", 0")
TO_FLOAT(bf16_fp32, "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16", ", 0")
