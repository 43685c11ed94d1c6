#!/bin/bash
# One command of this project on a Slurm allocation: sbatch cluster/slurm.sh python -m zoogen.run ...
#
# Change these three lines: --partition, --nodes, --time.
# The command gets `--address` of a Ray that lives as long as the job; --out must be a folder that all
# machines share, or s3://. Costs what the allocation costs, also while a machine has nothing to do.
# Stop it: scancel JOB. The same command goes on where it stopped.
#SBATCH --job-name=zooscope
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --time=08:00:00
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --signal=TERM@60
set -euo pipefail
if [ $# -eq 0 ]; then
    echo "slurm.sh wants the command to run, for example: python -m zoogen.run --dataset svhn --arch arch2" >&2
    exit 2
fi
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
# Ray is started by `srun`, which passes the environment on; the token is on no command line.
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_TOKEN

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | tr ' ' '\n' | grep -v '^127\.' | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
cpus=${SLURM_CPUS_PER_TASK:-1}

start() { # NODE, then what `ray start` is given besides
    local node=$1
    shift
    srun --nodes=1 --ntasks=1 --exact -w "$node" \
        ray start --block --num-cpus="$cpus" "$@" > "ray-$SLURM_JOB_ID-$node.log" 2>&1 &
}

start "$head" --head --node-ip-address="$address" --port="$port" --include-dashboard=false
for _ in $(seq 60); do
    ray status --address="$address:$port" > /dev/null 2>&1 && break
    sleep 2
done
for node in "${nodes[@]:1}"; do
    start "$node" --address="$address:$port"
done
for _ in $(seq 60); do
    [ "$(ray status --address="$address:$port" 2> /dev/null | grep -c '^ 1 ')" -ge "${#nodes[@]}" ] && break
    sleep 2
done

trap 'ray stop --grace-period 30 > /dev/null 2>&1 || true' EXIT
"$@" --address "$address:$port"
