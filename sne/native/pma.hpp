// The part of a PMA with one seed that sees every element: with r = relu(x W + b), for each head the
// sum of all r under the softmax of r·toward. All that the backward pass needs is computed again.
#pragma once
#include "tiles.hpp"

namespace {

constexpr long HP = in_vectors(H);  // heads, in whole vectors

INLINE long pma_scratch_numbers(const Shape& shape) {
  return D * D + 2 * D * HP + shape.rows() * (2 * D + 2 * HP);
}

// [H, D] → [D, HP], zeros beyond.
INLINE void heads_last(const real* rows, real* out) {
  for (long c = 0; c < D; c++)
    for (long h = 0; h < HP; h++) out[c * HP + h] = h < H ? rows[h * D + c] : 0;
}

struct Rectified {
  real *wt, *aside, *r, *p;  // W turned, toward with its heads last; r and its weights of a tile

  Rectified(Memory& memory, const Shape& shape, const real* w, const real* toward)
      : wt(turned(memory, w, D, D)), aside(memory.take(D * HP)), r(memory.take(shape.rows() * D)),
        p(memory.take(shape.rows() * HP)) {
    heads_last(toward, aside);
  }

  // r and p, [rows, HP], of a tile.
  INLINE void operator()(const Shape& shape, const Tile& t, const real* x, const real* b,
                         const uint8_t* mask) const {
    product<D>(
        t.rows, x + t.row * D, D, 1, wt, D, D, [&](long, long c) ALWAYS { return load(b + c); },
        [&](long i, long c, vec v) ALWAYS { store(r + i * D + c, v < 0 ? vec{} : v); });
    product<HP>(
        t.rows, r, D, 1, aside, HP, D, [](long, long) ALWAYS { return vec{}; },
        [&](long i, long h, vec v) ALWAYS { store(p + i * HP + h, v); });
    for (long k = 0; k < t.sets; k++)
      for (long h = 0; h < HP; h += LANES)
        softmax(p + k * shape.size * HP + h, t.there(mask, shape, k), shape.size);
  }

  // Over the elements that are there, LANES heads at once; 0 for the others.
  INLINE static void softmax(real* p, const uint8_t* there, long size) {
    vec top = splat(-INFINITY), sum{};
    for (long j = 0; j < size; j++) {
      const vec v = load(p + j * HP);
      if (!there || there[j]) top = v > top ? v : top;
    }
    for (long j = 0; j < size; j++) {
      const vec e = there && !there[j] ? vec{} : exp_below(load(p + j * HP) - top);
      store(p + j * HP, e);
      sum += e;
    }
    const vec scale = real(1) / sum;
    for (long j = 0; j < size; j++) store(p + j * HP, load(p + j * HP) * scale);
  }
};

INLINE void pma(const Shape& shape, const real* x, const real* w, const real* b, const real* toward,
                const uint8_t* mask, real* scratch, real* pooled) {
  Memory memory{scratch};
  const Rectified rectified(memory, shape, w, toward);
  tiles(shape, [&](const Tile& t) ALWAYS {
    rectified(shape, t, x, b, mask);
    for (long k = 0; k < t.sets; k++) {
      real* out = pooled + (t.first + k) * H * D;
      product<D>(
          H, rectified.p + k * shape.size * HP, 1, HP, rectified.r + k * shape.size * D, D,
          shape.size, [](long, long) ALWAYS { return vec{}; },
          [&](long h, long c, vec v) ALWAYS { store(out + h * D + c, v); });
    }
  });
}

// Gradients; but for that of x they are added to what is there, `dx` may be null.
INLINE void pma_back(const Shape& shape, const real* x, const real* w, const real* b,
                     const real* toward, const uint8_t* mask, real* scratch, const real* dpooled,
                     real* dx, real* dw, real* db, real* dtoward) {
  Memory memory{scratch};
  const long size = shape.size;
  const Rectified rectified(memory, shape, w, toward);
  real *aside = memory.take(D * HP), *ds = memory.take(shape.rows() * HP);
  real* dz = memory.take(shape.rows() * D);
  tiles(shape, [&](const Tile& t) ALWAYS {
    rectified(shape, t, x, b, mask);
    for (long k = 0; k < t.sets; k++) {
      const real* given = dpooled + (t.first + k) * H * D;
      real *r = rectified.r + k * size * D, *p = rectified.p + k * size * HP;
      real *d = ds + k * size * HP, *z = dz + k * size * D;
      heads_last(given, aside);
      product<HP>(
          size, r, D, 1, aside, HP, D, [](long, long) ALWAYS { return vec{}; },
          [&](long i, long h, vec v) ALWAYS { store(d + i * HP + h, v); });
      for (long h = 0; h < HP; h += LANES) {
        vec sum{};
        for (long i = h; i < size * HP; i += HP) sum += load(p + i) * load(d + i);
        for (long i = h; i < size * HP; i += HP) store(d + i, load(p + i) * (load(d + i) - sum));
      }
      product<D>(
          size, p, HP, 1, given, D, H, [](long, long) ALWAYS { return vec{}; },
          [&](long i, long c, vec v) ALWAYS { store(z + i * D + c, v); });
      product<D>(
          size, d, HP, 1, toward, D, H, [&](long i, long c) ALWAYS { return load(z + i * D + c); },
          [&](long i, long c, vec v) ALWAYS {
            store(z + i * D + c, load(r + i * D + c) > 0 ? v : vec{});
          });
      product<D>(
          H, d, 1, HP, r, D, size, [&](long h, long c) ALWAYS { return load(dtoward + h * D + c); },
          [&](long h, long c, vec v) ALWAYS { store(dtoward + h * D + c, v); });
    }
    add_rows<D>(t.rows, dz, db);
    add_outer<D, D>(t.rows, dz, x + t.row * D, dw);
    if (!dx) return;
    product<D>(
        t.rows, dz, D, 1, w, D, D, [](long, long) ALWAYS { return vec{}; },
        [&](long r, long c, vec v) ALWAYS { store(dx + (t.row + r) * D + c, v); });
  });
}

}  // namespace
