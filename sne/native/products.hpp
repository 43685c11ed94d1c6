// Products of matrices in rows, in blocks that the registers hold.
#pragma once
#include "vectors.hpp"

namespace {

#if defined(__AVX512F__)
constexpr int BLOCK_ROWS = 6, BLOCK_VECS = 4;  // 24 sums of 32 registers
#else
constexpr int BLOCK_ROWS = 4, BLOCK_VECS = 2;
#endif

#define ALWAYS __attribute__((always_inline))

// A vector that may begin anywhere.
typedef real loose __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real))));
INLINE vec load(const real* from) { return *reinterpret_cast<const loose*>(from); }
INLINE void store(real* to, vec v) { *reinterpret_cast<loose*>(to) = v; }

// M × N·LANES; element (m, k) of the left factor is a[m * am + k * ak].
template <int M, int N, class Start, class End>
INLINE void block(const real* a, long am, long ak, const real* b, long bk, long depth, Start start,
                  End end) {
  vec sum[M][N];
  UNROLL for (int m = 0; m < M; m++) UNROLL for (int n = 0; n < N; n++) sum[m][n] = start(m, n);
  for (long k = 0; k < depth; k++) {
    vec right[N];
    UNROLL for (int n = 0; n < N; n++) right[n] = load(b + k * bk + n * LANES);
    UNROLL for (int m = 0; m < M; m++) {
      const vec left = splat(a[m * am + k * ak]);
      UNROLL for (int n = 0; n < N; n++) sum[m][n] += left * right[n];
    }
  }
  UNROLL for (int m = 0; m < M; m++) UNROLL for (int n = 0; n < N; n++) end(m, n, sum[m][n]);
}

// rows × N·LANES, M rows at a time, half as many where fewer are left: start(row, n) is what a sum
// begins with, end(row, n, sum) takes it.
template <int M, int N, class Start, class End>
INLINE void strip(long rows, const real* a, long am, long ak, const real* b, long bk, long depth,
                  Start start, End end, long row = 0) {
  for (; row + M <= rows; row += M)
    block<M, N>(
        a + row * am, am, ak, b, bk, depth,
        [&](int m, int n) ALWAYS { return start(row + m, n); },
        [&](int m, int n, vec v) ALWAYS { end(row + m, n, v); });
  if constexpr (M > 1) {
    if (row < rows) strip<M / 2, N>(rows, a, am, ak, b, bk, depth, start, end, row);
  }
}

constexpr int widest(long vecs) {
  for (int n = BLOCK_VECS; n > 1; n--)
    if (vecs % n == 0) return n;
  return 1;
}

// rows × COLUMNS; start and end are given the first column of each vector.
template <long COLUMNS, class Start, class End>
INLINE void product(long rows, const real* a, long am, long ak, const real* b, long bk, long depth,
                    Start start, End end) {
  static_assert(COLUMNS % LANES == 0);
  constexpr int N = widest(COLUMNS / LANES);
  for (long c = 0; c < COLUMNS; c += N * LANES)
    strip<BLOCK_ROWS, N>(
        rows, a, am, ak, b + c, bk, depth,
        [&](long row, int n) ALWAYS { return start(row, c + n * LANES); },
        [&](long row, int n, vec v) ALWAYS { end(row, c + n * LANES, v); });
}

// sum += aᵀ b, [M, N], over the rows of a and b.
template <long M, long N>
INLINE void add_outer(long rows, const real* a, const real* b, real* sum) {
  product<N>(
      M, a, 1, M, b, N, rows, [&](long m, long n) ALWAYS { return load(sum + m * N + n); },
      [&](long m, long n, vec v) ALWAYS { store(sum + m * N + n, v); });
}

template <long N>
INLINE void add_rows(long rows, const real* a, real* sum) {
  for (long r = 0; r < rows; r++)
    for (long n = 0; n < N; n += LANES) store(sum + n, load(sum + n) + load(a + r * N + n));
}

// LANES vectors of LANES numbers, rows against columns: blocks of s change places.
INLINE void transpose(vec* v) {
  UNROLL for (int s = 1; s < LANES; s *= 2) {
    mask low, high;
    UNROLL for (int k = 0; k < LANES; k++) {
      low[k] = k & s ? LANES + k - s : k;
      high[k] = k & s ? LANES + k : k + s;
    }
    UNROLL for (int i = 0; i < LANES; i++) {
      if (i & s) continue;
      const vec a = v[i], b = v[i + s];
      v[i] = shuffle(a, b, low);
      v[i + s] = shuffle(a, b, high);
    }
  }
}

}  // namespace
