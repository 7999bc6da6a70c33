#!/usr/bin/env bash
# Install exactly the lowest versions that pyproject.toml allows into an environment of its own, and run the verbs with them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/environment"
"${PYTHON:-python3}" docs/lowest.py > "$work/lowest.txt"
"$work/environment/bin/pip" install --quiet --constraint "$work/lowest.txt" .
"$work/environment/bin/pip" check

la() { echo "== $*" && "$work/environment/bin/liver-anomaly" "$@"; }
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} QT_QPA_PLATFORM=offscreen
repository=$PWD
cd "$work"
la phantom --out sample --tumours --slices 24 --size-px 96
la phantom --out healthy --slices 24 --size-px 96
scan=(sample/phantom_ct.nii.gz --liver sample/phantom_liver.nii.gz)
la segment "${scan[@]}" --out results --device cpu --report
la liver sample/phantom_ct.nii.gz --out liver.nii.gz --device cpu --found-liver accept
la synthesise "${scan[@]}" --out synthetic
la prepare healthy --out healthy.npz
la train --healthy healthy.npz --config draem --budget 4 --device cpu --out one.safetensors
la train --healthy healthy.npz --config draem --budget 4 --seed 1 --device cpu --out two.safetensors
la combine one.safetensors two.safetensors --out both.safetensors || [ $? -eq 3 ]  # refused where the method takes no ensemble
la train-liver --data sample --coarse-steps 2 --fine-steps 2 --out finder.safetensors
la evaluate --data sample --model one.safetensors --seen mark --device cpu --out scores.json
la tables scores.json --out scores.md
la models
la info
"$work/environment/bin/python" - <<'END'
import socket

def never(*_, **__):
    raise AssertionError("an import uses the network")

socket.socket.connect = never
import napari_liver_anomaly, nibabel, nrrd, pydicom, pydicom.data
END
echo "The lowest versions work: $(tr '\n' ' ' < "$work/lowest.txt")from $repository/pyproject.toml"
