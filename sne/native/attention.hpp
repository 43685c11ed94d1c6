// Attention within one set, forward and backward, head after head.
//
// A vector holds LANES queries of one head, so that softmax needs no sums over lanes; keys and
// values are scalars that are broadcast. Queries are taken ACROSS vectors at a time, and their
// scores of all keys stay in the cache.
#pragma once
#include <algorithm>
#include <type_traits>

#include "products.hpp"
#include "vecmath.hpp"

namespace {

constexpr long D = WIDTH, H = HEADS, C = D / H;  // the full width, heads, a head's width
static_assert(C % LANES == 0);
constexpr int ACROSS = 2;
constexpr int KEYS = 8, SUMS = 16;  // rows of a block of scores, and of sums over queries
const real SCALE = 1 / std::sqrt(real(D));

constexpr long in_vectors(long count) { return (count + LANES - 1) / LANES * LANES; }

// exp(x) for x ≤ 0: vec_exp without what large and odd x would need.
INLINE vec exp_below(vec x) {
  const vec low = splat(-87.0f), magic = splat(12582912.0f);
  const vec c = x < low ? low : x;
  const vec t = c * real(1.44269504088896341) + magic, n = t - magic;  // rounded to nearest
  vec r;
  vec p = exp_terms(c, n, r);
  p = p * (r * r) + (r + real(1));
  mask bits;
  std::memcpy(&bits, &t, sizeof bits);
  bits = (bits + 127) << 23;  // t holds n in its last bits
  vec scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

// What is kept of each set's attention: for each head and query the greatest score, 1 / sum.
constexpr long stats_of(long size) { return H * 2 * in_vectors(size); }

// What one set's attention needs beside its rows.
struct Scratch {
  long wide, keys = 0, stride = 0;
  const real *key = nullptr, *value = nullptr;
  real *own_key, *own_value, *query, *gradient, *result, *score, *change, *of_key, *of_value;

  static long numbers(long size) {
    return 4 * size * C + 3 * in_vectors(size) * C + 2 * size * ACROSS * LANES;
  }

  Scratch(real* memory, long size) : wide(in_vectors(size)) {
    auto take = [&](long count) { return (memory += count) - count; };
    own_key = take(size * C), own_value = take(size * C);
    of_key = take(size * C), of_value = take(size * C);
    query = take(wide * C), gradient = take(wide * C), result = take(wide * C);
    score = take(size * ACROSS * LANES), change = take(size * ACROSS * LANES);
  }

  // The keys and values of one head that are there, one after another.
  INLINE void gather(const real* head, const uint8_t* there, long size) {
    key = head + D, value = head + 2 * D, keys = size, stride = 3 * D;
    if (!there) return;
    key = own_key, value = own_value, keys = 0, stride = C;
    for (long j = 0; j < size; j++) {
      if (!there[j]) continue;
      std::memcpy(own_key + keys * C, head + j * 3 * D + D, C * sizeof(real));
      std::memcpy(own_value + keys * C, head + j * 3 * D + 2 * D, C * sizeof(real));
      keys++;
    }
  }
};

// A head's columns of `size` rows → [C, in_vectors(size)], times a factor; zeros beyond.
INLINE void to_lanes(const real* rows, long stride, long size, real factor, real* out) {
  for (long r = 0; r < size; r += LANES)
    for (long c = 0; c < C; c += LANES) {
      vec v[LANES];
      for (long k = 0; k < LANES; k++)
        v[k] = r + k < size ? load(rows + (r + k) * stride + c) * factor : vec{};
      transpose(v);
      for (long k = 0; k < LANES; k++) store(out + (c + k) * in_vectors(size) + r, v[k]);
    }
}

// Back: take(row, column, LANES numbers of the row).
template <class Take>
INLINE void from_lanes(const real* lanes, long size, Take take) {
  for (long r = 0; r < size; r += LANES)
    for (long c = 0; c < C; c += LANES) {
      vec v[LANES];
      for (long k = 0; k < LANES; k++) v[k] = load(lanes + (c + k) * in_vectors(size) + r);
      transpose(v);
      for (long k = 0; k < LANES && r + k < size; k++) take(r + k, c, v[k]);
    }
}

// out[j, N·LANES] = rows[j, C] · columns[C, N·LANES], for all keys j.
template <int N>
INLINE void against_keys(const Scratch& s, const real* rows, const real* columns, real* out) {
  strip<KEYS, N>(
      s.keys, rows, s.stride, 1, columns, s.wide, C, [](long, int) ALWAYS { return vec{}; },
      [&](long j, int n, vec v) ALWAYS { store(out + (j * N + n) * LANES, v); });
}

// The same the other way: result[C, N·LANES] = rowsᵀ[C, j] · weights[j, N·LANES] · factor(n).
template <int N, class Factor>
INLINE void over_keys(const Scratch& s, const real* rows, const real* weights, long first,
                      Factor factor) {
  real* out = s.result + first;
  strip<KEYS, N>(
      C, rows, 1, s.stride, weights, N * LANES, s.keys, [](long, int) ALWAYS { return vec{}; },
      [&](long c, int n, vec v) ALWAYS { store(out + c * s.wide + n * LANES, v * factor(n)); });
}

template <int N>
INLINE void attend(const Scratch& s, long first, real* greatest, real* inverse) {
  against_keys<N>(s, s.key, s.query + first, s.score);
  vec scale[N];
  UNROLL for (int n = 0; n < N; n++) {
    real* p = s.score + n * LANES;
    vec top = load(p), sum{};
    for (long j = 1; j < s.keys; j++) {
      const vec v = load(p + j * N * LANES);
      top = v > top ? v : top;
    }
    for (long j = 0; j < s.keys; j++) {
      const vec e = exp_below(load(p + j * N * LANES) - top);
      store(p + j * N * LANES, e);
      sum += e;
    }
    scale[n] = real(1) / sum;
    store(greatest + first + n * LANES, top);
    store(inverse + first + n * LANES, scale[n]);
  }
  over_keys<N>(s, s.value, s.score, first, [&](int n) ALWAYS { return scale[n]; });
}

// act(N as a constant, first) for all queries, ACROSS vectors at a time.
template <class Act>
INLINE void across(long wide, Act act) {
  long first = 0;
  for (; first + ACROSS * LANES <= wide; first += ACROSS * LANES)
    act(std::integral_constant<int, ACROSS>{}, first);
  for (; first < wide; first += LANES) act(std::integral_constant<int, 1>{}, first);
}

// h = q + softmax(q kᵀ / √D) v. Rows of qkv: queries, keys, values, each head after head.
INLINE void attention(Scratch& s, const real* qkv, const uint8_t* there, long size, real* stats,
                      real* h) {
  for (long head = 0; head < H; head++, stats += 2 * s.wide) {
    const real* q = qkv + head * C;
    s.gather(q, there, size);
    to_lanes(q, 3 * D, size, SCALE, s.query);
    across(s.wide, [&](auto count, long first) ALWAYS {
      attend<decltype(count)::value>(s, first, stats, stats + s.wide);
    });
    from_lanes(s.result, size, [&](long r, long c, vec v) ALWAYS {
      store(h + r * D + head * C + c, load(q + r * 3 * D + c) + v);
    });
  }
}

// sums[j, C] += weights[j, i] · rows[i, C], over `count` queries i; a vector holds numbers of a key.
template <int N>
INLINE void over_queries(const Scratch& s, const real* weights, const real* rows, long stride,
                         long count, real* sums) {
  for (long c = 0; c < C; c += LANES) {
    real* to = sums + c;
    strip<SUMS, 1>(
        s.keys, weights, N * LANES, 1, rows + c, stride, count,
        [&](long j, int) ALWAYS { return load(to + j * C); },
        [&](long j, int, vec v) ALWAYS { store(to + j * C, v); });
  }
}

template <int N>
INLINE void attend_back(const Scratch& s, long first, const real* q, const real* dh, long size,
                        const real* greatest, const real* inverse) {
  against_keys<N>(s, s.key, s.query + first, s.score);
  against_keys<N>(s, s.value, s.gradient + first, s.change);
  UNROLL for (int n = 0; n < N; n++) {
    const vec top = load(greatest + first + n * LANES), scale = load(inverse + first + n * LANES);
    real *p = s.score + n * LANES, *d = s.change + n * LANES;
    vec sum{};
    for (long j = 0; j < s.keys; j++) {
      const long at = j * N * LANES;
      const vec e = exp_below(load(p + at) - top) * scale;
      store(p + at, e);
      sum += e * load(d + at);
    }
    for (long j = 0; j < s.keys; j++) {
      const long at = j * N * LANES;
      store(d + at, load(p + at) * (load(d + at) - sum));
    }
  }
  over_keys<N>(s, s.key, s.change, first, [](int) ALWAYS { return splat(SCALE); });
  const long count = std::min(size - first, long(N * LANES));
  over_queries<N>(s, s.change, q + first * 3 * D, 3 * D, count, s.of_key);
  over_queries<N>(s, s.score, dh + first * D, D, count, s.of_value);
}

// The gradients of queries, keys and values from that of h.
INLINE void attention_back(Scratch& s, const real* qkv, const uint8_t* there, long size,
                           const real* stats, const real* dh, real* dqkv) {
  for (long head = 0; head < H; head++, stats += 2 * s.wide) {
    const real *q = qkv + head * C, *g = dh + head * C;
    real* to = dqkv + head * C;
    s.gather(q, there, size);
    to_lanes(q, 3 * D, size, SCALE, s.query);
    to_lanes(g, D, size, 1, s.gradient);
    std::fill_n(s.of_key, 2 * size * C, real(0));  // and of_value, which follows
    across(s.wide, [&](auto count, long first) ALWAYS {
      attend_back<decltype(count)::value>(s, first, q, g, size, stats, stats + s.wide);
    });
    from_lanes(s.result, size, [&](long r, long c, vec v) ALWAYS {
      store(to + r * 3 * D + c, load(g + r * D + c) + v);
    });
    for (long j = 0, key = 0; j < size; j++) {
      const bool counts = !there || there[j];
      for (long c = 0; c < C; c += LANES) {
        store(to + j * 3 * D + D + c, counts ? load(s.of_key + key * C + c) * SCALE : vec{});
        store(to + j * 3 * D + 2 * D + c, counts ? load(s.of_value + key * C + c) : vec{});
      }
      key += counts;
    }
  }
}

}  // namespace
