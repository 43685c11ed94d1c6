// exp, tanh, sine and cosine on vectors, to about one unit in the last place of float32.
// Polynomials and splits: Cephes (S. Moshier), single precision. float64, used by tests only,
// calls libm lane by lane.
#pragma once
#include "vectors.hpp"

namespace {  // two networks loaded by one process must not share symbols

template <class F>
INLINE vec each_lane(vec x, F f) {
  vec y;
  for (int k = 0; k < LANES; k++) y[k] = f(x[k]);
  return y;
}

INLINE vec vec_abs(vec x) { return x < 0 ? -x : x; }
constexpr bool is_single = sizeof(real) == 4;

// For exp(c) = 2ⁿ (1 + r + r² p), n whole: p, and r. Single precision.
INLINE vec exp_terms(vec c, vec n, vec& r) {
  r = c - n * real(0.693359375);
  r = r - n * real(-2.12194440e-4);
  vec p = splat(1.9875691500e-4f);
  p = p * r + real(1.3981999507e-3);
  p = p * r + real(8.3334519073e-3);
  p = p * r + real(4.1665795894e-2);
  p = p * r + real(1.6666665459e-1);
  p = p * r + real(5.0000001201e-1);
  return p;
}

INLINE vec vec_exp(vec x) {
  if constexpr (!is_single) return each_lane(x, [](real v) { return std::exp(v); });
  vec low = splat(-87.0f), high = splat(88.3f);
  vec c = x < low ? low : x > high ? high : x;
  vec n = c * real(1.44269504088896341);
  n = (n + real(12582912.0)) - real(12582912.0);  // round to nearest
  vec r;
  vec p = exp_terms(c, n, r);
  p = p * r * r + r + real(1);
  mask bits = (__builtin_convertvector(n, mask) + 127) << 23;
  vec scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return x != x ? x : p * scale;
}

INLINE vec vec_tanh(vec x) {
  if constexpr (!is_single) return each_lane(x, [](real v) { return std::tanh(v); });
  vec a = vec_abs(x);
  vec z = x * x;
  vec p = splat(-5.70498872745e-3f);
  p = p * z + real(2.06390887954e-2);
  p = p * z + real(-5.37397155531e-2);
  p = p * z + real(1.33314422036e-1);
  p = p * z + real(-3.33332819422e-1);
  vec small = p * z * x + x;
  vec large = real(1) - real(2) / (vec_exp(a + a) + real(1));
  large = x < 0 ? -large : large;
  return a < real(0.625) ? small : large;
}

INLINE vec vec_sigmoid(vec x) {
  if constexpr (!is_single) return each_lane(x, [](real v) { return 1 / (1 + std::exp(-v)); });
  return real(1) / (real(1) + vec_exp(-x));
}

// Phi(x), the normal distribution function, and its density: what GELU is made of. Single precision
// by Abramowitz and Stegun 7.1.26, absolute error 1.5e-7.
INLINE void vec_normal(vec x, vec& below, vec& density) {
  if constexpr (!is_single) {
    below = each_lane(x, [](real v) { return std::erfc(-v * M_SQRT1_2) / 2; });
    density = each_lane(x, [](real v) { return std::exp(-v * v / 2) * 0.3989422804014327; });
    return;
  }
  const vec falls = vec_exp(x * x * real(-0.5));
  const vec t = real(1) / (real(1) + real(0.3275911 * 0.70710678118654752) * vec_abs(x));
  vec p = splat(1.061405429f);
  p = p * t + real(-1.453152027);
  p = p * t + real(1.421413741);
  p = p * t + real(-0.284496736);
  p = p * t + real(0.254829592);
  const vec tail = real(0.5) * p * t * falls;
  below = x < 0 ? tail : real(1) - tail;
  density = falls * real(0.3989422804014327);
}

// sine and cosine of x together; |x| up to some thousand.
INLINE void vec_sincos(vec x, vec& sine, vec& cosine) {
  if constexpr (!is_single) {
    sine = each_lane(x, [](real v) { return std::sin(v); });
    cosine = each_lane(x, [](real v) { return std::cos(v); });
    return;
  }
  vec n = x * real(0.636619772367581343);  // quarter turns
  n = (n + real(12582912.0)) - real(12582912.0);
  vec r = x - n * real(1.5703125);
  r = r - n * real(4.837512969970703125e-4);
  r = r - n * real(7.54978995489188216e-8);
  vec z = r * r;
  vec s = splat(-1.9515295891e-4f);
  s = s * z + real(8.3321608736e-3);
  s = s * z + real(-1.6666654611e-1);
  s = s * z * r + r;
  vec c = splat(2.443315711809948e-5f);
  c = c * z + real(-1.388731625493765e-3);
  c = c * z + real(4.166664568298827e-2);
  c = c * z * z - real(0.5) * z + real(1);
  mask quarter = __builtin_convertvector(n, mask);
  mask swap = (quarter & 1) != 0;
  vec a = swap ? c : s, b = swap ? s : c;
  sine = (quarter & 2) != 0 ? -a : a;
  cosine = ((quarter + 1) & 2) != 0 ? -b : b;
}

}  // namespace
