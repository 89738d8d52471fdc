"""`python -m benchmark` is `unitbench`."""

from benchmark.cli import main

main()
