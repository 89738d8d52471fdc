"""Controls, which show what a score means without learning, and baselines, which people use today."""
