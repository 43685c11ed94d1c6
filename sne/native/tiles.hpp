// Rows of sets are rows of memory. A tile of sets passes through a whole block, so that what one
// product gives to the next stays in the cache.
#pragma once
#include "attention.hpp"

namespace {

constexpr long TILE = 192;  // rows

struct Shape {
  int64_t sets, size;

  long tile() const { return std::max(1L, TILE / long(size)); }  // sets
  long rows() const { return tile() * size; }
};

struct Tile {
  long first, sets, row, rows;  // the first set, and its first row

  const uint8_t* there(const uint8_t* mask, const Shape& shape, long set) const {
    return mask ? mask + (first + set) * shape.size : nullptr;
  }
};

template <class Act>
INLINE void tiles(const Shape& shape, Act act) {
  for (long set = 0; set < shape.sets; set += shape.tile()) {
    const long sets = std::min(shape.tile(), long(shape.sets) - set);
    act(Tile{set, sets, set * shape.size, sets * shape.size});
  }
}

// Pieces of memory one after another.
struct Memory {
  real* next;
  real* take(long count) { return (next += count) - count; }
};

// [rows, columns] → [columns, rows].
INLINE real* turned(Memory& memory, const real* w, long rows, long columns) {
  real* out = memory.take(rows * columns);
  for (long c = 0; c < columns; c++)
    for (long r = 0; r < rows; r++) out[c * rows + r] = w[r * columns + c];
  return out;
}

// The feed-forward that ends a SAB: y = h + relu(h Wo + bo), and where the latter is above 0.
typedef int8_t flags __attribute__((vector_size(LANES)));

INLINE void feed(long rows, const real* h, const real* wot, const real* bo, int8_t* on, real* y) {
  product<D>(
      rows, h, D, 1, wot, D, D, [&](long, long c) ALWAYS { return load(bo + c); },
      [&](long r, long c, vec v) ALWAYS {
        const mask above = v > 0;
        store(y + r * D + c, load(h + r * D + c) + (v < 0 ? vec{} : v));
        if (!on) return;
        const flags f = __builtin_convertvector(above, flags);
        std::memcpy(on + r * D + c, &f, sizeof f);
      });
}

// From the gradient of y that of h; those of Wo and bo are added. `dp` is scratch.
INLINE void feed_back(long rows, const real* h, const int8_t* on, const real* wo, const real* dy,
                      real* dp, real* dh, real* dwo, real* dbo) {
  for (long i = 0; i < rows * D; i += LANES) {
    flags f;
    std::memcpy(&f, on + i, sizeof f);
    store(dp + i, __builtin_convertvector(f, mask) ? load(dy + i) : vec{});
  }
  add_outer<D, D>(rows, dp, h, dwo);
  add_rows<D>(rows, dp, dbo);
  product<D>(
      rows, dp, D, 1, wo, D, D, [&](long r, long c) ALWAYS { return load(dy + r * D + c); },
      [&](long r, long c, vec v) ALWAYS { store(dh + r * D + c, v); });
}

}  // namespace
