"""One experiment: its jobs and files, arms fitted and scored, the workflow and what it came to."""
