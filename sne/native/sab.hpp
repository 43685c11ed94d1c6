// A SAB. Kept for the backward pass: x, h, the statistics of attention, where the feed-forward is
// on. Queries, keys and values are computed again there: to write and read them takes as long.
#pragma once
#include "tiles.hpp"

namespace {

INLINE long sab_scratch_numbers(const Shape& shape) {
  return 4 * D * D + shape.rows() * 8 * D + shape.tile() * stats_of(shape.size) +
         Scratch::numbers(shape.size);
}

INLINE void project(long rows, const real* x, const real* wt, const real* b, real* qkv) {
  product<3 * D>(
      rows, x, D, 1, wt, 3 * D, D, [&](long, long c) ALWAYS { return load(b + c); },
      [&](long r, long c, vec v) ALWAYS { store(qkv + r * 3 * D + c, v); });
}

// Without `h`, nothing is kept.
INLINE void sab(const Shape& shape, const real* x, const real* w, const real* b, const real* wo,
                const real* bo, const uint8_t* mask, real* scratch, real* stats, real* h,
                int8_t* on, real* y) {
  const long size = shape.size;
  Memory memory{scratch};
  const real *wt = turned(memory, w, 3 * D, D), *wot = turned(memory, wo, D, D);
  real *qkv = memory.take(shape.rows() * 3 * D), *own = memory.take(shape.rows() * D);
  real* own_stats = memory.take(shape.tile() * stats_of(size));
  Scratch s(memory.next, size);
  tiles(shape, [&](const Tile& t) ALWAYS {
    real* hs = h ? h + t.row * D : own;
    real* st = h ? stats + t.first * stats_of(size) : own_stats;
    project(t.rows, x + t.row * D, wt, b, qkv);
    for (long k = 0; k < t.sets; k++)
      attention(s, qkv + k * size * 3 * D, t.there(mask, shape, k), size, st + k * stats_of(size),
                hs + k * size * D);
    feed(t.rows, hs, wot, bo, h ? on + t.row * D : nullptr, y + t.row * D);
  });
}

INLINE void sab_back(const Shape& shape, const real* x, const real* w, const real* b,
                     const real* wo, const uint8_t* mask, real* scratch, const real* stats,
                     const real* h, const int8_t* on, const real* dy, real* dx, real* dw, real* db,
                     real* dwo, real* dbo) {
  const long size = shape.size;
  Memory memory{scratch};
  const real* wt = turned(memory, w, 3 * D, D);
  real *dp = memory.take(shape.rows() * D), *dh = memory.take(shape.rows() * D);
  real *qkv = memory.take(shape.rows() * 3 * D), *dqkv = memory.take(shape.rows() * 3 * D);
  Scratch s(memory.next, size);
  tiles(shape, [&](const Tile& t) ALWAYS {
    const long at = t.row * D;
    feed_back(t.rows, h + at, on + at, wo, dy + at, dp, dh, dwo, dbo);
    project(t.rows, x + at, wt, b, qkv);
    for (long k = 0; k < t.sets; k++)
      attention_back(s, qkv + k * size * 3 * D, t.there(mask, shape, k), size,
                     stats + (t.first + k) * stats_of(size), dh + k * size * D,
                     dqkv + k * size * 3 * D);
    add_rows<3 * D>(t.rows, dqkv, db);
    add_outer<3 * D, D>(t.rows, dqkv, x + at, dw);
    if (!dx) return;
    product<D>(
        t.rows, dqkv, 3 * D, 1, w, D, 3 * D, [](long, long) ALWAYS { return vec{}; },
        [&](long r, long c, vec v) ALWAYS { store(dx + at + r * D + c, v); });
  });
}

}  // namespace
