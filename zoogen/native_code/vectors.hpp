// A vector: LANES numbers of type REAL, in one register where the processor has such registers.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {  // two libraries loaded by one process must not share symbols

#ifndef REAL
#define REAL float
#endif
#ifndef LANES
#define LANES 16
#endif

using real = REAL;
typedef real vec __attribute__((vector_size(LANES * sizeof(real))));
typedef uint32_t uvec __attribute__((vector_size(LANES * sizeof(uint32_t))));
// Result of comparing two vecs: all bits set where true.
using mask = decltype(vec{} < vec{});

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

// x in each lane. Not 0 + x, which is not x where that is -0, so that compilers would add.
INLINE vec splat(real x) { return x - vec{}; }

// Lane k is that of `a` and `b`, one behind the other, which pick[k] names; a constant.
INLINE vec shuffle(vec a, vec b, mask pick) {
#if defined(__clang__)  // which has no such function, but makes one of this
  vec both;
  UNROLL for (int k = 0; k < LANES; k++) both[k] = pick[k] < LANES ? a[pick[k]] : b[pick[k] - LANES];
  return both;
#else
  return __builtin_shuffle(a, b, pick);
#endif
}

}  // namespace
