"""Controls: methods that learn nothing about tissue and show what a score means."""
