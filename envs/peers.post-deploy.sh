#!/usr/bin/env bash
# Runs once in the new environment, in the folder that Snakemake was started from: installs the pinned packages and
# the project itself. Snakemake runs a copy of this file, so the project is not found from where the file lies.
set -euo pipefail
if [ ! -f envs/peers.txt ] || [ ! -f constraints.txt ]; then
	echo "--use-conda: start Snakemake in the folder of UnitBench" >&2
	exit 1
fi
python -m pip install -c constraints.txt -r envs/peers.txt -e .
