"""One experiment: its jobs and files, how arms are fitted and scored, the workflow, its summary."""
