"""One folder that all jobs see, where an executor asks for a storage provider all the same: Kubernetes, AWS Batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError


def share(workflow: Any, results: str) -> bool:
    """Let the steps work in the shared folder themselves. Snakemake would copy to and fro only the files that the rules
    name, and a step reads others too: the corpus, embeddings, checkpoints.

    Args:
        workflow: the one that Snakemake gives a Snakefile.
        results: the folder of all results.

    Returns:
        Whether there is a storage provider.

    Raises:
        UnitBenchError: the provider has no folders, or its folder is not the one of this run.
    """
    settings, provider = workflow.storage_settings, workflow.storage_registry.default_storage_provider
    if provider is None:
        return False
    if settings.default_storage_provider != "fs":
        where = f"default-storage-provider: {settings.default_storage_provider}"
        raise UnitBenchError(
            where, "the steps of a run share a folder, and this has none", "choose fs; copy after a run"
        )
    if Path(results).is_absolute():
        raise UnitBenchError(f"results={results}", "not within the shared folder", "give the path from that folder on")
    if workflow.is_main_process and Path(settings.default_storage_prefix).resolve() != Path.cwd():
        where = f"default-storage-prefix: {settings.default_storage_prefix}"
        raise UnitBenchError(where, f"the run was started in {Path.cwd()}", "start it in the folder that all jobs see")
    provider.retrieve = False
    return True
