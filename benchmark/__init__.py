"""UnitBench: what is the same for every method."""
