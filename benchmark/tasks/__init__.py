"""Tasks, one a file, found by entry point (`unitbench.tasks`). Their contract: `benchmark.core.contracts.Task`."""
