"""Figures of a small run that a plan can be worked out from by hand, and its config."""

from __future__ import annotations

from dataclasses import replace

from benchmark.experiment.facts import Fact, Facts

CONFIG = {
    "name": "tiny",
    "dataset": {"name": "simulated", "options": {"n_donors": 2, "slides_per_donor": 1, "shape": [12, 12]}},
    "methods": [{"method": "patch", "options": {"size": 4, "n_channels": 16}}, "random"],
    "budget": {"axis": "flops", "amounts": [0, 1.01e9]},
    "splits": {"donor_folds": 2, "random_repeats": 3},
    "methods_per_job": 2,
    "seeds": [0],
    "neighbours": [0, 8],
    "tasks": ["domain", {"task": "reconstruction", "options": {"sizes": [2], "n_genes": 20}}],
}
PATCH = {"method": "patch", "options": '{"method": "patch", "n_channels": 16, "size": 4}'}
RANDOM = {"method": "random", "options": '{"method": "random"}', "trained": False}
HERE = "the processor"


def facts(**changes: float) -> Facts:
    """All that a plan of `CONFIG` asks, with other values of some, by `what`."""
    found = [
        Fact("FLOP/s", 1e8, "a trial", trained=True, **PATCH),
        Fact("step FLOPs", 1e8, "a trial", trained=True, **PATCH),
        Fact("step spots", 50, "a trial", trained=True, **PATCH),
        Fact("memory", 7e8, "a trial", trained=True, **PATCH),
        Fact("arm", 2, "a run", trained=True, **PATCH),
        Fact("arm", 1, "a run", trained=False, **PATCH),
        Fact("arm", 0.5, "a run", **RANDOM),
        Fact("fold", 3, "a run", method="patch"),
        Fact("fold", 0, "a run", method="random"),
        Fact("bytes", 1000, "a run", trained=True, **PATCH),
        Fact("bytes", 600, "a run", trained=False, **PATCH),
        Fact("bytes", 500, "a run", **RANDOM),
        Fact("start pretrain", 4, "a run"),
        Fact("start score", 5, "a run"),
        Fact("unit donor", 0.25, "a run"),
        Fact("unit within", 0.125, "a run"),
        Fact("tables", 100, "a run"),
        *(Fact(step, 1, "a run") for step in ("prepare", "check", "leaderboard", "report", "track")),
    ]
    found = [replace(fact, machine=HERE, value=changes.get(fact.what, fact.value)) for fact in found]
    return Facts(found, HERE)
