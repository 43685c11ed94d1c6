// A SAB whose elements are single numbers, as those of chunks are: its attention needs numbers only.
//
// With q = x·wq + bq and likewise k and v, a score is (α x_i + β) x_j up to what all keys of a query
// have in common, α = wq·wk / √D, β = bq·wk / √D, and what is attended to is μ_i wv + bv, where μ_i
// is the mean of all x_j under the softmax. So h_i = x_i wq + bq + μ_i wv + bv, and as the slope of
// μ_i by the score's factor is the variance under the softmax, gradients need no softmax at all.
// Kept for the backward pass: x, μ, that variance, where the feed-forward is on.
#pragma once
#include "tiles.hpp"

namespace {

INLINE long numbers_scratch_numbers(const Shape& shape) {
  return 2 * D * D + shape.rows() * 3 * D + shape.tile() * stats_of(shape.size) + 8 * D +
         2 * in_vectors(shape.size);
}

INLINE real dot(const real* a, const real* b) {
  real sum = 0;
  for (long c = 0; c < C; c++) sum += a[c] * b[c];
  return sum;
}

// For each head μ and the variance of all queries of a set, as `stats`.
INLINE void weigh(const real* x, const uint8_t* there, long size, const real* w, const real* b,
                  real* numbers, real* stats) {
  const long wide = in_vectors(size);
  real *queries = numbers, *keys = numbers + wide;
  std::copy_n(x, size, queries);
  std::fill(queries + size, queries + wide, real(0));
  long count = 0;
  for (long j = 0; j < size; j++)
    if (!there || there[j]) keys[count++] = x[j];
  const auto [least, most] = std::minmax_element(keys, keys + count);
  // From the middle of their range, which softmax does not see and the variance is the better for.
  const real middle = (*least + *most) / 2, half = *most - middle;
  for (long j = 0; j < count; j++) keys[j] -= middle;
  for (long head = 0; head < H; head++, stats += 2 * wide) {
    const real alpha = SCALE * dot(w + head * C, w + D + head * C);
    const real beta = SCALE * dot(b + head * C, w + D + head * C);
    for (long i = 0; i < wide; i += LANES) {
      const vec factor = load(queries + i) * alpha + beta;
      const vec top = (factor < 0 ? -factor : factor) * half;
      vec sum{}, first{}, second{};
      for (long j = 0; j < count; j++) {
        const vec e = exp_below(factor * keys[j] - top), ex = e * keys[j];
        sum += e, first += ex, second += ex * keys[j];
      }
      const vec scale = real(1) / sum, mean = first * scale;
      store(stats + i, mean + middle);
      store(stats + wide + i, second * scale - mean * mean);
    }
  }
}

// The rows h of a set.
INLINE void from_means(const real* x, long size, const real* w, const real* b, const real* stats,
                       real* h) {
  const long wide = in_vectors(size);
  for (long head = 0; head < H; head++, stats += 2 * wide)
    for (long c = head * C; c < (head + 1) * C; c += LANES) {
      const vec wq = load(w + c), wv = load(w + 2 * D + c), both = load(b + c) + load(b + 2 * D + c);
      for (long i = 0; i < size; i++) store(h + i * D + c, wq * x[i] + wv * stats[i] + both);
    }
}

INLINE void numbers_sab(const Shape& shape, const real* x, const real* w, const real* b,
                        const real* wo, const real* bo, const uint8_t* mask, real* scratch,
                        real* stats, int8_t* on, real* y) {
  const long size = shape.size;
  Memory memory{scratch};
  const real* wot = turned(memory, wo, D, D);
  real *h = memory.take(shape.rows() * D), *own = memory.take(shape.tile() * stats_of(size));
  tiles(shape, [&](const Tile& t) ALWAYS {
    real* st = stats ? stats + t.first * stats_of(size) : own;
    for (long k = 0; k < t.sets; k++) {
      const real* xs = x + t.row + k * size;
      weigh(xs, t.there(mask, shape, k), size, w, b, memory.next, st + k * stats_of(size));
      from_means(xs, size, w, b, st + k * stats_of(size), h + k * size * D);
    }
    feed(t.rows, h, wot, bo, on ? on + t.row * D : nullptr, y + t.row * D);
  });
}

// Sums over rows of dh, each times what the name says (V for the variance).
struct Sums {
  real *one, *x, *mean, *variance, *variance_x;
};

INLINE void add_sums(const real* x, long size, const real* stats, const real* dh, Sums& sums) {
  const long wide = in_vectors(size);
  for (long head = 0; head < H; head++, stats += 2 * wide)
    for (long c = head * C; c < (head + 1) * C; c += LANES) {
      vec one = load(sums.one + c), with_x = load(sums.x + c), mean = load(sums.mean + c);
      vec variance = load(sums.variance + c), variance_x = load(sums.variance_x + c);
      for (long i = 0; i < size; i++) {
        const vec g = load(dh + i * D + c), gv = g * stats[wide + i];
        one += g, with_x += g * x[i], mean += g * stats[i];
        variance += gv, variance_x += gv * x[i];
      }
      store(sums.one + c, one), store(sums.x + c, with_x), store(sums.mean + c, mean);
      store(sums.variance + c, variance), store(sums.variance_x + c, variance_x);
    }
}

// Gradients of weights and biases are added to what is there; x has none.
INLINE void numbers_sab_back(const Shape& shape, const real* x, const real* w, const real* b,
                             const real* wo, real* scratch, const real* stats, const int8_t* on,
                             const real* dy, real* dw, real* db, real* dwo, real* dbo) {
  const long size = shape.size;
  Memory memory{scratch};
  real *h = memory.take(shape.rows() * D), *dp = memory.take(shape.rows() * D);
  real* dh = memory.take(shape.rows() * D);
  Sums sums{memory.take(D), memory.take(D), memory.take(D), memory.take(D), memory.take(D)};
  std::fill_n(sums.one, 5 * D, real(0));
  tiles(shape, [&](const Tile& t) ALWAYS {
    const real* st = stats + t.first * stats_of(size);
    for (long k = 0; k < t.sets; k++)
      from_means(x + t.row + k * size, size, w, b, st + k * stats_of(size), h + k * size * D);
    feed_back(t.rows, h, on + t.row * D, wo, dy + t.row * D, dp, dh, dwo, dbo);
    for (long k = 0; k < t.sets; k++)
      add_sums(x + t.row + k * size, size, st + k * stats_of(size), dh + k * size * D, sums);
  });
  for (long head = 0; head < H; head++) {
    const long at = head * C;
    const real of_alpha = SCALE * dot(w + 2 * D + at, sums.variance_x + at);
    const real of_beta = SCALE * dot(w + 2 * D + at, sums.variance + at);
    for (long c = at; c < at + C; c++) {
      dw[c] += sums.x[c] + of_alpha * w[D + c];
      db[c] += sums.one[c] + of_beta * w[D + c];
      dw[D + c] += of_alpha * w[c] + of_beta * b[c];  // the keys' bias changes no softmax
      dw[2 * D + c] += sums.mean[c];
      db[2 * D + c] += sums.one[c];
    }
  }
}

}  // namespace
