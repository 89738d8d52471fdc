"""One folder that all jobs see, also where an executor asks for a storage provider instead: Kubernetes, AWS Batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError


def share(workflow: Any) -> None:
    """Let the steps work in the shared folder themselves. Snakemake would copy to and fro only the files that the rules
    name, and a step reads others too: the corpus, embeddings, checkpoints.

    Args:
        workflow: the one that Snakemake gives a Snakefile.

    Raises:
        UnitBenchError: the storage provider has no folders, or its folder is not the one of this run.
    """
    settings, provider = workflow.storage_settings, workflow.storage_registry.default_storage_provider
    if provider is None:
        return
    if settings.default_storage_provider != "fs":
        where = f"default-storage-provider: {settings.default_storage_provider}"
        raise UnitBenchError(
            where, "the steps of a run share a folder, and this has none", "choose fs; copy after a run"
        )
    if workflow.is_main_process and Path(settings.default_storage_prefix).resolve() != Path.cwd():
        where = f"default-storage-prefix: {settings.default_storage_prefix}"
        raise UnitBenchError(where, f"the run was started in {Path.cwd()}", "start it in the folder that all jobs see")
    provider.retrieve = False
