// What stands between convolutions (pooling, activation, dropout) and behind them (the losses).
// Each has its backward pass beside it. Slopes are written in place where a stage allows it.
#pragma once
#include "lanes.hpp"
#include "vecmath.hpp"

namespace {  // two networks loaded by one process must not share symbols

enum Activation { RELU = 0, TANH = 1, SINE = 2, IDENTITY = 3, SIGMOID = 4, GELU = 5 };

// One member's settings; the layout is mirrored in `library.py`.
struct Member {
  real *weights, *first_moment, *second_moment;  // packed, PARAMETERS long
  double learning_rate, l2, weight_decay, beta1, beta2, epsilon;
  int32_t optimizer, activation;
  uint32_t key0, key1, dropout_threshold, reserved;
};

// A piece of a batch: `groups` × LANES images that pass through the network together.
struct Tile {
  const Member* member;
  int groups;
  int64_t step, first_slot;
  uint32_t threshold;  // of 65536; 0 in evaluation
  real keep_scale;
};

// ---------------------------------------------------------------- dropout
// A mask is a pure function of (key, step, site, slot, unit): `zoogen/train/dropout.py`.

template <class U>
INLINE U lowbias32(U x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}
constexpr uint32_t GOLDEN = 0x9E3779B9u, SLOT = 0x85EBCA6Bu;

INLINE uvec row_key(const Tile& t, int group, uint32_t site) {
  const uint32_t start = lowbias32<uint32_t>(t.member->key0 + (uint32_t)t.step);
  uvec slot;
  for (int k = 0; k < LANES; k++) slot[k] = (uint32_t)(t.first_slot + group * LANES + k);
  return lowbias32<uvec>(start ^ (t.member->key1 + site * GOLDEN + slot * SLOT));
}

INLINE mask keeps(uvec sixteen_bits, uint32_t threshold) {
  return __builtin_convertvector(sixteen_bits >= threshold, mask);
}

// Calls f(unit, keep) for each unit of one group; without dropout `keep` is all true.
template <int UNITS, class F>
INLINE void each_unit(const Tile& t, int group, uint32_t site, F f) {
  const mask all = vec{} == vec{};
  if (t.threshold == 0) {
    for (int u = 0; u < UNITS; u++) f(u, all);
    return;
  }
  const uvec row = row_key(t, group, site);
  for (int u = 0; u + 1 < UNITS; u += 2) {
    const uvec h = lowbias32<uvec>(row + (uint32_t)(u / 2) * GOLDEN);
    f(u, keeps(h & 0xffffu, t.threshold));
    f(u + 1, keeps(h >> 16, t.threshold));
  }
  if constexpr (UNITS % 2) {
    const uvec h = lowbias32<uvec>(row + (uint32_t)(UNITS / 2) * GOLDEN);
    f(UNITS - 1, keeps(h & 0xffffu, t.threshold));
  }
}

// ---------------------------------------------------------------- activations, then dropout

constexpr int NO_DROPOUT = -1;

// GELU's slope does not follow from its value, so `slope` keeps it for the way back.
template <int UNITS, int SITE>
void activate(const Tile& t, int activation, vec* a, vec* slope) {
  const vec scale = splat(SITE == NO_DROPOUT ? 1 : t.keep_scale);
  Tile local = t;
  if (SITE == NO_DROPOUT) local.threshold = 0;
  for (int g = 0; g < t.groups; g++, a += UNITS, slope += UNITS) {
    if (activation == RELU)
      each_unit<UNITS>(local, g, SITE, [&](int u, mask keep) {
        const vec y = a[u] < 0 ? vec{} : a[u];  // a NaN stays
        a[u] = keep ? y * scale : vec{};
      });
    else if (activation == SIGMOID)
      each_unit<UNITS>(local, g, SITE,
                       [&](int u, mask keep) { a[u] = keep ? vec_sigmoid(a[u]) * scale : vec{}; });
    else if (activation == GELU)
      each_unit<UNITS>(local, g, SITE, [&](int u, mask keep) {
        vec below, density;
        vec_normal(a[u], below, density);
        slope[u] = below + a[u] * density;
        a[u] = keep ? a[u] * below * scale : vec{};
      });
    else
      each_unit<UNITS>(local, g, SITE,
                       [&](int u, mask keep) { a[u] = keep ? vec_tanh(a[u]) * scale : vec{}; });
  }
}

// `a` is what `activate` left; `g` comes in as the slope behind it and goes out before it.
template <int UNITS, int SITE>
void activate_backward(const Tile& t, int activation, const vec* a, const vec* slope, vec* g) {
  const vec scale = splat(SITE == NO_DROPOUT ? 1 : t.keep_scale);
  const vec unscale = splat(SITE == NO_DROPOUT ? 1 : 1 / t.keep_scale);
  Tile local = t;
  if (SITE == NO_DROPOUT) local.threshold = 0;
  for (int group = 0; group < t.groups; group++, a += UNITS, g += UNITS, slope += UNITS) {
    if (activation == RELU)  // a dropped unit is 0, so its slope is too
      for (int u = 0; u < UNITS; u++) g[u] = a[u] <= 0 ? vec{} : g[u] * scale;
    else if (activation == SIGMOID)
      each_unit<UNITS>(local, group, SITE, [&](int u, mask keep) {
        const vec y = a[u] * unscale;
        g[u] = keep ? g[u] * scale * y * (real(1) - y) : vec{};
      });
    else if (activation == GELU)
      each_unit<UNITS>(local, group, SITE, [&](int u, mask keep) {
        g[u] = keep ? g[u] * scale * slope[u] : vec{};
      });
    else
      each_unit<UNITS>(local, group, SITE, [&](int u, mask keep) {
        const vec y = a[u] * unscale;
        g[u] = keep ? g[u] * scale * (real(1) - y * y) : vec{};
      });
  }
}

// a -> sin(w0·a); `slope` keeps w0·cos(w0·a) for the way back.
template <int UNITS>
void sine(const Tile& t, real w0, vec* a, vec* slope) {
  for (int u = 0; u < t.groups * UNITS; u++) {
    vec s, c;
    vec_sincos(a[u] * w0, s, c);
    a[u] = s;
    slope[u] = c * w0;
  }
}

template <int UNITS>
void sine_backward(const Tile& t, const vec* slope, vec* g) {
  for (int u = 0; u < t.groups * UNITS; u++) g[u] *= slope[u];
}

// ---------------------------------------------------------------- pooling

template <int C, int H, int W, int K>
void max_pool(const Tile& t, const vec* in, vec* out) {
  for (int g = 0; g < t.groups; g++, in += H * W * C)
    for (int y = 0; y < H / K; y++)
      for (int x = 0; x < W / K; x++)
        for (int c = 0; c < C; c++) {
          vec top = in[(y * K * W + x * K) * C + c];
          UNROLL for (int j = 1; j < K * K; j++) {
            const vec v = in[((y * K + j / K) * W + x * K + j % K) * C + c];
            top = v > top ? v : top;
          }
          *out++ = top;
        }
}

// The slope goes to the first of equal maxima in reading order, as in torch.
template <int C, int H, int W, int K>
void max_pool_backward(const Tile& t, const vec* in, const vec* g, vec* gin) {
  if (H % K || W % K) std::memset((void*)gin, 0, sizeof(vec) * t.groups * H * W * C);
  for (int group = 0; group < t.groups; group++, in += H * W * C, gin += H * W * C)
    for (int y = 0; y < H / K; y++)
      for (int x = 0; x < W / K; x++)
        for (int c = 0; c < C; c++) {
          const int first = (y * K * W + x * K) * C + c;
          vec top = in[first];
          UNROLL for (int j = 1; j < K * K; j++) {
            const vec v = in[first + (j / K * W + j % K) * C];
            top = v > top ? v : top;
          }
          vec left = *g++;
          UNROLL for (int j = 0; j < K * K; j++) {
            const int place = first + (j / K * W + j % K) * C;
            const mask here = in[place] == top;
            gin[place] = here ? left : vec{};
            left = here ? vec{} : left;
          }
        }
}

template <int C, int H, int W>
void mean_pool(const Tile& t, const vec* in, vec* out) {
  for (int g = 0; g < t.groups; g++, out += C) {
    for (int c = 0; c < C; c++) out[c] = vec{};
    for (int p = 0; p < H * W; p++)
      for (int c = 0; c < C; c++) out[c] += *in++;
    for (int c = 0; c < C; c++) out[c] *= real(1) / (H * W);
  }
}

template <int C, int H, int W>
void mean_pool_backward(const Tile& t, const vec* g, vec* gin) {
  for (int group = 0; group < t.groups; group++, g += C)
    for (int p = 0; p < H * W; p++)
      for (int c = 0; c < C; c++) *gin++ = g[c] * (real(1) / (H * W));
}

// ---------------------------------------------------------------- losses

struct Score {
  double loss = 0;  // summed over images (classifiers) or over outputs (signals)
  int64_t correct = 0;
};

// Softmax cross-entropy of `count` images from `logits`; slopes of the batch's mean into `g`.
template <int CLASSES>
void cross_entropy(const Tile& t, const vec* logits, const int32_t* labels, int64_t count,
                   real weight, vec* g, Score& score) {
  for (int group = 0; group < t.groups; group++, logits += CLASSES, g += CLASSES) {
    const int lanes = count - group * LANES < LANES ? int(count - group * LANES) : LANES;
    vec top = logits[0];
    for (int c = 1; c < CLASSES; c++) top = logits[c] > top ? logits[c] : top;
    vec sum = {};
    for (int c = 0; c < CLASSES; c++) sum += g[c] = vec_exp(logits[c] - top);
    vec live = {};
    for (int k = 0; k < lanes; k++) {
      const int label = labels[group * LANES + k];
      live[k] = weight;
      score.loss += std::log((double)sum[k]) + (double)(top[k] - logits[label][k]);
      int best = 0;
      for (int c = 1; c < CLASSES; c++)
        if (logits[c][k] > logits[best][k]) best = c;
      score.correct += best == label;
    }
    const vec each = live / sum;
    for (int c = 0; c < CLASSES; c++) g[c] = g[c] * each;
    for (int k = 0; k < lanes; k++) g[labels[group * LANES + k]][k] -= weight;
  }
}

// Squared error of `count` points; `offset` is the constant that the network adds to its output.
template <int OUT>
void squared_error(const Tile& t, const vec* y, const vec* target, int64_t count, real offset,
                   real weight, vec* g, Score& score) {
  for (int group = 0; group < t.groups; group++, y += OUT, target += OUT, g += OUT) {
    const int lanes = count - group * LANES < LANES ? int(count - group * LANES) : LANES;
    vec live = {};
    for (int k = 0; k < lanes; k++) live[k] = 1;
    for (int o = 0; o < OUT; o++) {
      const vec error = (y[o] + offset - target[o]) * live;
      g[o] = error * (2 * weight);
      const vec square = error * error;
      real s = 0;
      for (int k = 0; k < LANES; k++) s += square[k];
      score.loss += s;
    }
  }
}

}  // namespace
