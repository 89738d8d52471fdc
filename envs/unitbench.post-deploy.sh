#!/usr/bin/env bash
# Runs once in the new environment, in the folder that Snakemake was started from: installs the pinned packages and
# the project itself. Snakemake runs a copy of this file, so the project is not found from where the file lies.
set -euo pipefail
if [ ! -f constraints.txt ] || [ ! -f pyproject.toml ]; then
	echo "--use-conda: start Snakemake in the folder of UnitBench" >&2
	exit 1
fi
python -m pip install -c constraints.txt -e .
