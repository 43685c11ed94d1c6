#!/bin/sh
# `make demo`: what this project does, shown in minutes on two cores. What is done already is skipped,
# so a demo that was stopped goes on where it was.
set -eu
python=${PYTHON:-python3}
small="--threads 1 --sne.width 32 --sne.chunk-sabs 2 --sne.sabs 2" # an encoder that learns within a minute or two

chapter() { printf '\n\n=== %s\n' "$1"; }
say() { printf '%s\n' "$@"; }
run() {
    printf '\n$ python -m %s\n' "$*"
    "$python" -m "$@"
}

chapter "1. Make two model zoos"
say "200 small CNNs, each trained on images of digits with settings of its own, and 3,000 INRs," \
    "each a network that plays one sine wave. Both are Parquet; every network can be made again."
run zoogen.run --dataset digits --arch arch1 --recipe quick --out zoos/demo-digits
run zoogen.run --dataset sine --arch siren --recipe quick --members 3000 --out zoos/demo-waves

chapter "2. Look at them"
say "Hashes, rows, and a sample of networks run anew; then what is in the first zoo."
run zoogen.verify zoos/demo-digits
run zoogen.verify zoos/demo-waves
run zoogen.info zoos/demo-digits

chapter "3. How accurate is a CNN? From its weights alone"
say "Gradient boosting on statistics of each layer, the baseline to beat; then SNE, which reads the" \
    "weights themselves. Both learn from 80 networks and are measured on 100 that they never saw."
run sne.train --zoo zoos/demo-digits --model boosting --out runs/demo-digits-boosting
run sne.train --zoo zoos/demo-digits $small --batch 8 --epochs 40 \
    --out runs/demo-digits-sne

chapter "4. Which frequency does an INR play?"
say "The same for 2,400 INRs. Neurons can be listed in any order; --canonical lets SNE see one order." \
    "(A constant has a mean squared error of 7.5 here.)"
run sne.train --zoo zoos/demo-waves --model boosting --out runs/demo-waves-boosting
run sne.train --zoo zoos/demo-waves $small --batch 16 --epochs 15 --clip-norm 1 \
    --invariance 0 --canonical --scaling magnitude --out runs/demo-waves-sne

chapter "5. Is one of them better?"
say "Differences on the same networks, with paired intervals: one that holds 0 decides nothing."
run sne.compare runs/demo-digits-boosting runs/demo-digits-sne
run sne.compare runs/demo-waves-boosting runs/demo-waves-sne

chapter "6. Any PyTorch network can be encoded"
say "SNE takes architectures that it was not trained on, such as torchvision's; what it predicts of" \
    "them is another question, and what was new to it is said."
run sne.encode runs/demo-digits-sne zoos/demo-digits#0 torchvision:squeezenet1_1/seed0 \
    --out runs/demo-encodings.parquet

chapter "7. What carries over to another architecture?"
say "A second zoo: the same digits, deeper CNNs. Each model learns from each zoo and is tested on both." \
    "Statistics of layers need equal layers; SNE and DeepSets take any."
run zoogen.run --dataset digits --arch arch2 --recipe quick --out zoos/demo-digits-arch2
run sweeps.matrix --zoos zoos/demo-digits zoos/demo-digits-arch2 --models sne deepsets boosting \
    --seeds 0 --epochs 20 --set training.batch=8 \
    --set sne.width=32 --set sne.chunk_sabs=2 --set sne.sabs=2 --out runs/demo-matrix

chapter "Done"
say "Everything that chapter 7 found stands on one page: runs/demo-matrix/page.html (open it in a browser)." \
    "Figures of the other runs: curves.png and predicted-0.png in runs/demo-*. What to try next: README.md."
