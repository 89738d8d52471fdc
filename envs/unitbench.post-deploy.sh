#!/usr/bin/env bash
# Runs once in the new environment, from the folder of the workflow: the pinned dependencies and the project itself.
set -euo pipefail
python -m pip install -c constraints.txt -e .
