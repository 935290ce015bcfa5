#!/usr/bin/env bash
# What only a GPU shows: time and peak memory of a step in both precisions, on models of real size.
# Figures go to gpu-*.json in the folder given, this one by default.
#
#     benchmarks/gpu.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-.}
mkdir -p "$out"
python -c 'import torch; assert torch.cuda.is_available(), "torch finds no GPU"; print(torch.cuda.get_device_name())'
for precision in fp32 bf16; do
    python -m benchmarks.engine --device cuda --precision $precision --model wav2vec2-base --batch 8 \
        --variants neggrad_plus streaming --json "$out/gpu-wav2vec2-base-$precision.json"
    # Is to fit into 24 GB, at Whisper's full window of 30 seconds.
    python -m benchmarks.engine --device cuda --precision $precision --model whisper-small --batch 8 \
        --variants neggrad_plus streaming streaming_pieces \
        --json "$out/gpu-whisper-small-$precision.json"
done
