// The functions that `library.py` calls; sne/blocks.py has the formulas.
//
// Forward: x, weights, mask (or null), scratch, what is kept for the backward pass (or all null),
// the result. Backward: the same up to what is kept, the result's gradient, then where gradients go:
// x's is written unless it is null, those of weights are added to what is there.
#include "numbers.hpp"
#include "pma.hpp"
#include "sab.hpp"

extern "C" {

// Numbers that are kept of each set's attention.
int64_t stats_numbers(int64_t size) { return stats_of(size); }

// Numbers of memory for the time of a call, whichever.
int64_t scratch_numbers(const Shape* shape) {
  return std::max({sab_scratch_numbers(*shape), numbers_scratch_numbers(*shape),
                   pma_scratch_numbers(*shape)});
}

void sab_forward(const Shape* shape, const real* x, const real* w, const real* b, const real* wo,
                 const real* bo, const uint8_t* mask, real* scratch, real* stats, real* h,
                 int8_t* on, real* y) {
  sab(*shape, x, w, b, wo, bo, mask, scratch, stats, h, on, y);
}

void sab_backward(const Shape* shape, const real* x, const real* w, const real* b, const real* wo,
                  const real*, const uint8_t* mask, real* scratch, const real* stats,
                  const real* h, const int8_t* on, const real* dy, real* dx, real* dw, real* db,
                  real* dwo, real* dbo) {
  sab_back(*shape, x, w, b, wo, mask, scratch, stats, h, on, dy, dx, dw, db, dwo, dbo);
}

void numbers_forward(const Shape* shape, const real* x, const real* w, const real* b,
                     const real* wo, const real* bo, const uint8_t* mask, real* scratch,
                     real* stats, int8_t* on, real* y) {
  numbers_sab(*shape, x, w, b, wo, bo, mask, scratch, stats, on, y);
}

// Numbers get no gradient.
void numbers_backward(const Shape* shape, const real* x, const real* w, const real* b,
                      const real* wo, const real*, const uint8_t*, real* scratch,
                      const real* stats, const int8_t* on, const real* dy, real*, real* dw,
                      real* db, real* dwo, real* dbo) {
  numbers_sab_back(*shape, x, w, b, wo, scratch, stats, on, dy, dw, db, dwo, dbo);
}

void pma_forward(const Shape* shape, const real* x, const real* w, const real* b,
                 const real* toward, const uint8_t* mask, real* scratch, real* pooled) {
  pma(*shape, x, w, b, toward, mask, scratch, pooled);
}

void pma_backward(const Shape* shape, const real* x, const real* w, const real* b,
                  const real* toward, const uint8_t* mask, real* scratch, const real* dpooled,
                  real* dx, real* dw, real* db, real* dtoward) {
  pma_back(*shape, x, w, b, toward, mask, scratch, dpooled, dx, dw, db, dtoward);
}
}
