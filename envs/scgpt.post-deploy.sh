#!/usr/bin/env bash
# Runs once in the new environment, in the folder that Snakemake was started from: installs exactly what scgpt.txt
# lists, and the project itself. Snakemake runs a copy of this file, so the project is not found from where it lies.
set -euo pipefail
if [ ! -f envs/scgpt.txt ] || [ ! -f pyproject.toml ]; then
	echo "--use-conda: start Snakemake in the folder of UnitBench" >&2
	exit 1
fi
python -m pip install --no-deps -r envs/scgpt.txt
python -m pip install --no-deps -e .
