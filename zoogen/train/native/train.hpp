// The loops: batches of images, and full-batch fits of signals. `Net` is generated (source.py).
#pragma once
#include "stages.hpp"

namespace {  // two networks loaded by one process must not share symbols

enum Optimizer { SGD = 0, ADAM = 1, RMSPROP = 2 };

struct Images {
  const void* pixels;  // [n][y][x][channel], uint8 or uint16
  const int32_t* labels;
  int32_t wide;  // 1: uint16
  int32_t reserved;
  real scale[4], shift[4];
};

struct Piece {
  int64_t offset, size;
  bool is_kernel;  // the published L2 penalty is on kernels only
};

// One update from the gradient `g` of the loss; `step` counts from 1.
template <class Net>
void update(const Member& m, const real* g, int64_t step) {
  const double fix1 = 1 - std::pow(m.beta1, (double)step), fix2 = 1 - std::pow(m.beta2, (double)step);
  const real lr = m.learning_rate, b1 = m.beta1, b2 = m.beta2, eps = m.epsilon;
  const real c1 = 1 - m.beta1, c2 = 1 - m.beta2;
  const real rate = m.learning_rate / fix1, root = std::sqrt(fix2);
  for (const Piece& piece : Net::PIECES) {
    const real decay = (piece.is_kernel ? 2 * m.l2 : 0) + m.weight_decay;
    real* w = m.weights + piece.offset;
    real* m1 = m.first_moment + piece.offset;
    real* m2 = m.second_moment + piece.offset;
    const real* slope = g + piece.offset;
    if (m.optimizer == ADAM)
      for (int64_t i = 0; i < piece.size; i++) {
        const real d = slope[i] + decay * w[i];
        m1[i] = m1[i] + c1 * (d - m1[i]);
        m2[i] = b2 * m2[i] + c2 * d * d;
        w[i] -= rate * m1[i] / (std::sqrt(m2[i]) / root + eps);
      }
    else if (m.optimizer == RMSPROP)
      for (int64_t i = 0; i < piece.size; i++) {
        const real d = slope[i] + decay * w[i];
        m2[i] = b2 * m2[i] + c2 * d * d;
        w[i] -= lr * d / (std::sqrt(m2[i]) + eps);
      }
    else
      for (int64_t i = 0; i < piece.size; i++) {
        m1[i] = b1 * m1[i] + slope[i] + decay * w[i];
        w[i] -= lr * m1[i];
      }
  }
}

// Sixteen images side by side: the transposition from image-major to lane-major.
template <class Net, class Pixel>
void gather(const Images& images, const int64_t* index, int64_t count, vec* out) {
  constexpr int C = Net::CHANNELS;
  for (int64_t start = 0; start < count; start += LANES, out += Net::INPUTS) {
    const Pixel* from[LANES];
    for (int k = 0; k < LANES; k++) {
      const int64_t which = index[start + k < count ? start + k : 0];
      from[k] = (const Pixel*)images.pixels + which * Net::INPUTS;
    }
    for (int p = 0; p < Net::INPUTS; p++) {
      vec v;
      UNROLL for (int k = 0; k < LANES; k++) v[k] = from[k][p];
      out[p] = v * images.scale[p % C] + images.shift[p % C];
    }
  }
}

template <class Net>
void load(const Images& images, const int64_t* index, int64_t count, Tile& t, vec* a,
          int32_t* labels) {
  t.groups = int((count + LANES - 1) / LANES);
  if (images.wide)
    gather<Net, uint16_t>(images, index, count, a);
  else
    gather<Net, uint8_t>(images, index, count, a);
  for (int64_t i = 0; i < count; i++) labels[i] = images.labels[index[i]];
}

// Buffers of one call, cut from one aligned block: activations, slopes, gradient, labels.
template <class Net>
struct Workspace {
  vec *a, *g;
  real* gradient;
  int32_t* labels;
  static constexpr int64_t PADDED = (Net::PARAMETERS + LANES - 1) / LANES * LANES;
  static int64_t bytes(int64_t groups) {
    return groups * 2 * Net::UNITS * (int64_t)sizeof(vec) + PADDED * sizeof(real) +
           groups * LANES * sizeof(int32_t) + 64;
  }
  Workspace(void* block, int64_t groups) {
    a = (vec*)block;
    g = a + groups * Net::UNITS;
    gradient = (real*)(g + groups * Net::UNITS);
    labels = (int32_t*)(gradient + PADDED);
  }
};

inline Tile training_tile(const Member& m, int64_t step) {
  const uint32_t threshold = m.dropout_threshold;
  return {&m, 0, step, 0, threshold, (real)(65536.0 / (65536.0 - threshold))};
}

// `steps` batches of `batch` images in the order given; returns the sum of the batches' mean loss.
template <class Net>
double train_images(const Images& images, const Member& m, const int64_t* order, int64_t steps,
                    int64_t batch, int64_t first_step, int64_t tile_groups, void* block) {
  Workspace<Net> space(block, tile_groups);
  double total = 0;
  for (int64_t s = 0; s < steps; s++, order += batch) {
    std::memset(space.gradient, 0, sizeof(real) * Net::PARAMETERS);
    Score score;
    Tile t = training_tile(m, first_step + s);
    for (int64_t slot = 0; slot < batch; slot += tile_groups * LANES) {
      const int64_t left = batch - slot, most = tile_groups * LANES;
      const int64_t count = left < most ? left : most;
      t.first_slot = slot;
      load<Net>(images, order + slot, count, t, space.a, space.labels);
      const vec* logits = Net::forward(t, tile_groups, space.a, space.a);
      vec* slopes = Net::output_slopes(tile_groups, space.g);
      cross_entropy<Net::OUTPUTS>(t, logits, space.labels, count, real(1) / batch, slopes, score);
      Net::backward(t, tile_groups, space.a, space.a, space.g, space.gradient);
    }
    update<Net>(m, space.gradient, first_step + s + 1);
    total += score.loss / batch;
  }
  return total;
}

template <class Net>
Score score_images(const Images& images, const Member& m, const int64_t* index, int64_t n,
                   int64_t tile_groups, void* block) {
  Workspace<Net> space(block, tile_groups);
  Score score;
  Tile t = {&m, 0, 0, 0, 0, 1};
  for (int64_t i = 0; i < n; i += tile_groups * LANES) {
    const int64_t left = n - i, most = tile_groups * LANES;
    const int64_t count = left < most ? left : most;
    load<Net>(images, index + i, count, t, space.a, space.labels);
    const vec* logits = Net::forward(t, tile_groups, space.a, space.a);
    vec* slopes = Net::output_slopes(tile_groups, space.g);
    cross_entropy<Net::OUTPUTS>(t, logits, space.labels, count, real(0), slopes, score);
  }
  return score;
}

// Forward (and with `gradient`, backward) over all points; returns the mean squared error.
template <class Net>
double signal_pass(const Member& m, const vec* inputs, const vec* targets, int64_t points,
                   int64_t tile_groups, Workspace<Net>& space, bool gradient) {
  Score score;
  Tile t = {&m, 0, 0, 0, 0, 1};
  const real weight = real(1) / (points * Net::OUTPUTS);
  for (int64_t p = 0; p < points; p += tile_groups * LANES) {
    const int64_t left = points - p, most = tile_groups * LANES;
    const int64_t count = left < most ? left : most;
    t.groups = int((count + LANES - 1) / LANES);
    const vec* in = inputs + p / LANES * Net::INPUTS;
    const vec* y = Net::forward(t, tile_groups, in, space.a);
    vec* slopes = Net::output_slopes(tile_groups, space.g);
    squared_error<Net::OUTPUTS>(t, y, targets + p / LANES * Net::OUTPUTS, count,
                                Net::OUTPUT_OFFSET, weight, slopes, score);
    if (gradient) Net::backward(t, tile_groups, in, space.a, space.g, space.gradient);
  }
  return score.loss / (points * Net::OUTPUTS);
}

// Full-batch steps until the loss before a step is at most `stop` or not finite; steps taken.
template <class Net>
int64_t fit_signal(const Member& m, const vec* inputs, const vec* targets, int64_t points,
                   int64_t steps, double stop, int64_t tile_groups, void* block, double* loss) {
  Workspace<Net> space(block, tile_groups);
  for (int64_t s = 0; s < steps; s++) {
    std::memset(space.gradient, 0, sizeof(real) * Net::PARAMETERS);
    *loss = signal_pass<Net>(m, inputs, targets, points, tile_groups, space, true);
    if (!(*loss > stop) || std::isinf(*loss)) return s;
    update<Net>(m, space.gradient, s + 1);
  }
  *loss = signal_pass<Net>(m, inputs, targets, points, tile_groups, space, false);
  return steps;
}

}  // namespace
