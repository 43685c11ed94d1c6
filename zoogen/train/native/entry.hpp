// The functions that `library.py` calls; `Net` stands above this line in the generated file.
#pragma once
#include "train.hpp"

#pragma GCC visibility push(default)

extern "C" {
int64_t zoo_workspace(int64_t groups) { return Workspace<Net>::bytes(groups); }
int64_t zoo_units() { return Net::TILE_UNITS; }
int64_t zoo_lanes() { return LANES; }

double zoo_train_images(const Images* images, const Member* m, const int64_t* order, int64_t steps,
                        int64_t batch, int64_t first_step, int64_t tile_groups, void* block) {
  return train_images<Net>(*images, *m, order, steps, batch, first_step, tile_groups, block);
}

void zoo_score_images(const Images* images, const Member* m, const int64_t* index, int64_t n,
                      int64_t tile_groups, void* block, double* loss, int64_t* correct) {
  const Score score = score_images<Net>(*images, *m, index, n, tile_groups, block);
  *loss = score.loss;
  *correct = score.correct;
}

int64_t zoo_fit_signal(const Member* m, const void* inputs, const void* targets, int64_t points,
                       int64_t steps, double stop, int64_t tile_groups, void* block,
                       double* loss) {
  return fit_signal<Net>(*m, (const vec*)inputs, (const vec*)targets, points, steps, stop,
                         tile_groups, block, loss);
}
}
#pragma GCC visibility pop
