"""One training on one and on several devices: `python -m tests.scale.devices` prints how far losses and totals differ.

The devices are processes on a CPU. `context` (crops of 8 × 8 spots) takes 50 steps on simulated tissue. In the last row
one of two processes is killed after 20 steps, and one device does the rest.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.training import loop
from benchmark.training.budget import ONE_DEVICE, Budget, Meter, Training
from methods.context.method import Context
from tests.helpers import ranks

AMOUNT = 16_600  # spots: about 50 steps
WAYS = (
    Training(accumulate=3),
    Training(devices=2),
    Training(devices=2, accumulate=2),
    Training(devices=2, strategy="fsdp"),
    Training(devices=3),
)
COLUMNS = ("devices", "strategy", "accumulate", "steps", "FLOPs", "spots", "a loss", "a vector")


def trained(corpus, training, train=ranks.every_step, checkpoint=None) -> tuple[Meter, np.ndarray]:
    """The meter of a training, and the embedding of a slide."""
    loop.train = train
    method = Context(side=8, n_genes=100, preset="nano")
    budget = Budget("spots", AMOUNT, "fp32", checkpoint, training=training)
    method.fit(corpus, budget, 0)
    return budget.meter, method.embed(corpus[corpus.names[0]])


def resumed(corpus, folder) -> tuple[Meter, np.ndarray]:
    """What one device makes of a training on two that was cut off."""
    checkpoint = folder / "checkpoint.pt"
    with suppress(UnitBenchError):
        trained(corpus, Training(devices=2), ranks.killed, checkpoint)
    assert checkpoint.exists()
    return trained(corpus, ONE_DEVICE, checkpoint=checkpoint)


def row(name, training, found, expected, last=0) -> str:
    """A row of the table: the totals, and the greatest relative differences from the training on one device.

    Args:
        last: how many of the last losses are compared; 0: all.
    """
    (meter, vectors), (wanted, vectors_wanted) = found, expected
    losses, losses_wanted = (np.array([point["loss"] for point in of.curve[-last:]]) for of in (meter, wanted))
    apart = np.abs(losses / losses_wanted - 1).max()
    far = np.abs(vectors - vectors_wanted).max() / np.abs(vectors_wanted).max()
    totals = f"{meter.steps} | {meter.flops:.11g} | {meter.spots}"
    return f"| {name} | {training.strategy} | {training.accumulate} | {totals} | {apart:.0e} | {far:.0e} |"


def main() -> None:
    tissue = Simulated(n_donors=3, shape=(24, 24), n_genes=100, depth=200, image=False)
    with TemporaryDirectory() as name:
        corpus = write_corpus(tissue.slides(), Path(name) / "corpus", tissue.record())
        expected = trained(corpus, ONE_DEVICE)
        print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", sep="\n")
        print(row(1, ONE_DEVICE, expected, expected), flush=True)
        for training in WAYS:
            print(row(training.n_devices, training, trained(corpus, training), expected), flush=True)
        rest = expected[0].steps - ranks.KILLED_AT
        print(row("2, then 1", ONE_DEVICE, resumed(corpus, Path(name)), expected, rest))


if __name__ == "__main__":
    main()
