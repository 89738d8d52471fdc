"""What the benchmark was built to judge."""
