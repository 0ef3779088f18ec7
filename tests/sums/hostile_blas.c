/* A BLAS that adds as no BLAS would, and yet as any BLAS may.

   It takes the place of the routines that NumPy calls for products of matrices (in NumPy's wheels they are called
   scipy_cblas_dgemm64_ and so on), in a process that is started with LD_PRELOAD. `hostile_blas_mode` says how the terms
   of a dot product are added: in the order of the index, backwards, in a random order, with fused multiply-adds, in
   80 bits, the even ones before the odd ones, or right up to a share of the error that theory allows,
   to a random side, or always below. A sum in which no addition and no product is rounded is returned as it is.

   Compile with: cc -O1 -ffp-contract=off -shared -fPIC -o hostile_blas.so hostile_blas.c -lm */

#include <math.h>
#include <stdint.h>

typedef int64_t size;

enum { IN_ORDER, BACKWARDS, SHUFFLED, FUSED, EXTENDED, EVEN_FIRST, WRONG, TOO_LOW };
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, UPPER = 121 };

static int mode = IN_ORDER;
static uint64_t state = 0x9E3779B97F4A7C15u;

void hostile_blas_mode(int wanted) { mode = wanted; }

static uint64_t draw(void) {  /* xorshift: any bits will do */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size common_divisor(size a, size b) {
    while (b) { size rest = a % b; a = b; b = rest; }
    return a;
}

#define ROUTINES(real, letter, fused, unit)                                                                          \
    static real letter##_dot(size n, const real *x, size dx, const real *y, size dy) {                               \
        real sum = 0;                                                                                                \
        if (mode == BACKWARDS) {                                                                                     \
            for (size i = n - 1; i >= 0; i--) sum += x[i * dx] * y[i * dy];                                          \
        } else if (mode == SHUFFLED) {  /* steps of a length that has no divisor in common with n visit every term */ \
            size step = n > 1 ? 1 + (size)(draw() % (uint64_t)n) : 1, at = n ? (size)(draw() % (uint64_t)n) : 0;     \
            if (common_divisor(step, n) != 1) step = 1;                                                              \
            for (size i = 0; i < n; i++, at = (at + step) % n) sum += x[at * dx] * y[at * dy];                       \
        } else if (mode == FUSED) {                                                                                  \
            for (size i = 0; i < n; i++) sum = fused(x[i * dx], y[i * dy], sum);                                     \
        } else if (mode == EXTENDED) {                                                                               \
            long double wide = 0;                                                                                    \
            for (size i = 0; i < n; i++) wide += (long double)x[i * dx] * y[i * dy];                                 \
            sum = (real)wide;                                                                                        \
        } else if (mode == EVEN_FIRST) {                                                                             \
            real odd = 0;                                                                                            \
            for (size i = 0; i < n; i += 2) sum += x[i * dx] * y[i * dy];                                            \
            for (size i = 1; i < n; i += 2) odd += x[i * dx] * y[i * dy];                                            \
            sum += odd;                                                                                              \
        } else {                                                                                                     \
            real sizes = 0;                                                                                          \
            int exact = 1;                                                                                           \
            for (size i = 0; i < n; i++) {                                                                           \
                real term = x[i * dx] * y[i * dy], next = sum + term, back = next - sum;                             \
                exact &= fused(x[i * dx], y[i * dy], -term) == 0 && (sum - (next - back)) + (term - back) == 0;      \
                sizes += term < 0 ? -term : term;                                                                    \
                sum = next;                                                                                          \
            }                                                                                                        \
            if (mode >= WRONG && !exact && isfinite(sizes)) {                                                        \
                real share = (real)0.49 * n * unit * sizes;                                                          \
                sum += mode == WRONG && draw() & 1024 ? share : -share;                                              \
            }                                                                                                        \
        }                                                                                                            \
        return sum;                                                                                                  \
    }                                                                                                                \
    real scipy_cblas_##letter##dot64_(size n, const real *x, size dx, const real *y, size dy) {                      \
        return letter##_dot(n, dx < 0 ? x - (n - 1) * dx : x, dx, dy < 0 ? y - (n - 1) * dy : y, dy);                \
    }                                                                                                                \
    void scipy_cblas_##letter##gemm64_(int order, int ta, int tb, size m, size n, size k, real alpha, const real *a,  \
                                       size la, const real *b, size lb, real beta, real *c, size lc) {               \
        int rows_a = (order == ROW_MAJOR) == (ta == NO_TRANSPOSE);  /* whether a row of a lies together */           \
        int rows_b = (order == ROW_MAJOR) == (tb == NO_TRANSPOSE);                                                   \
        for (size i = 0; i < m; i++)                                                                                 \
            for (size j = 0; j < n; j++) {                                                                           \
                const real *row = rows_a ? a + i * la : a + i, *column = rows_b ? b + j : b + j * lb;                \
                real *out = order == ROW_MAJOR ? c + i * lc + j : c + j * lc + i;                                    \
                real sum = alpha * letter##_dot(k, row, rows_a ? 1 : la, column, rows_b ? lb : 1);                   \
                *out = beta == 0 ? sum : sum + beta * *out;                                                          \
            }                                                                                                        \
    }                                                                                                                \
    void scipy_cblas_##letter##gemv64_(int order, int t, size m, size n, real alpha, const real *a, size la,         \
                                       const real *x, size dx, real beta, real *y, size dy) {                        \
        int plain = t == NO_TRANSPOSE, together = (order == ROW_MAJOR) == plain;                                     \
        size rows = plain ? m : n, k = plain ? n : m;                                                                \
        if (dx < 0) x -= (k - 1) * dx;                                                                               \
        if (dy < 0) y -= (rows - 1) * dy;                                                                            \
        for (size i = 0; i < rows; i++) {                                                                            \
            real sum = alpha * letter##_dot(k, together ? a + i * la : a + i, together ? 1 : la, x, dx);             \
            y[i * dy] = beta == 0 ? sum : sum + beta * y[i * dy];                                                    \
        }                                                                                                            \
    }                                                                                                                \
    void scipy_cblas_##letter##syrk64_(int order, int half, int t, size n, size k, real alpha, const real *a, size la, \
                                       real beta, real *c, size lc) {                                                \
        int together = (order == ROW_MAJOR) == (t == NO_TRANSPOSE);                                                  \
        for (size i = 0; i < n; i++)                                                                                 \
            for (size j = 0; j < n; j++) {                                                                           \
                if (half == UPPER ? j < i : j > i) continue;                                                         \
                real *out = order == ROW_MAJOR ? c + i * lc + j : c + j * lc + i;                                    \
                real sum = together ? letter##_dot(k, a + i * la, 1, a + j * la, 1)                                  \
                                    : letter##_dot(k, a + i, la, a + j, la);                                         \
                *out = beta == 0 ? alpha * sum : alpha * sum + beta * *out;                                          \
            }                                                                                                        \
    }

ROUTINES(double, d, fma, 0x1p-53)
ROUTINES(float, s, fmaf, 0x1p-24f)
