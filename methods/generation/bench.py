"""Token merging's worth: seconds of a step with and without it, timed in one run, and the KID of each beside them.

python -m methods.generation.bench
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmark.data.corpus import Corpus, write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.tasks.generation import Generation
from benchmark.training.budget import Budget
from methods.generation.generator import Generator

RATIOS = (0.0, 0.25, 0.5)
SAMPLES = 8  # of a timed step
ROUNDS = 15
IMAGES = 128  # that KID is taken over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--patch", type=int, default=2, help="pixels along a side of a token")
    parser.add_argument("--preset", default="nano")
    parser.add_argument(
        "--flops", type=float, default=2e12, help="of training, the same for each ratio; 0: timing alone"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = simulated(Path(folder))
        train, test = corpus.subset(corpus.names[:2]), corpus[corpus.names[2]]
        made = {}
        for ratio in RATIOS:
            made[ratio] = Generator(
                objective="diffusion",
                pixels=options.pixels,
                patch=options.patch,
                merging=ratio,
                samples_per_step=SAMPLES,
                preset=options.preset,
            )
            made[ratio].fit(train, Budget("flops", options.flops), seed=0)
        seconds = timed({ratio: steps(method) for ratio, method in made.items()})
        print(f"{options.pixels} px, tokens of {options.patch} px, {options.preset}, {torch.get_num_threads()} threads")
        print("merging  generation step        training step          KID [95%]")
        for ratio, method in made.items():
            columns = [f"{ratio:7.2f}"]
            for kind in ("generation", "training"):
                its, whole = seconds[ratio][kind], seconds[0.0][kind]
                columns.append(f"{its * 1e3:7.1f} ms ({whole / its:4.2f} ×)")
            columns.append(kid(method, train, test) if options.flops else "not trained")
            print("  ".join(columns), flush=True)


def simulated(folder: Path) -> Corpus:
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(16, 16), n_genes=100, depth=3000)
    return write_corpus(data.slides(), folder, data.record())


def steps(method: Generator) -> dict[str, Callable[[], object]]:
    """One pass of the decoder as in sampling, and one step of training: forward and backward."""
    module, generator = method.model, torch.Generator().manual_seed(0)
    device = next(module.parameters()).device
    spots = np.arange(SAMPLES)
    batch = {"image": method.atlas.take(spots), "values": method.atlas.values[spots]}
    batch = {name: torch.from_numpy(array).to(device) for name, array in batch.items()}
    noise, t, pick = (part.to(device) for part in module.draw_hidden(batch, torch.Generator(device).manual_seed(0)))

    def generation() -> None:
        with torch.inference_mode():
            module.field(batch["values"], generator)(noise, t)

    return {"generation": generation, "training": lambda: module(batch, noise, t, pick).backward()}


def timed(of: dict[float, dict[str, Callable[[], object]]]) -> dict[float, dict[str, float]]:
    """Median seconds of each; the ratios take turns, so that what else the machine does falls on all alike."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    found: dict[float, dict[str, list[float]]] = {ratio: {kind: [] for kind in its} for ratio, its in of.items()}
    for turn in range(ROUNDS + 1):
        for ratio, its in of.items():
            for kind, step in its.items():
                wait()
                start = time.perf_counter()
                step()
                wait()
                if turn:  # the first warms up
                    found[ratio][kind].append(time.perf_counter() - start)
    return {ratio: {kind: float(np.median(list_)) for kind, list_ in its.items()} for ratio, its in found.items()}


def kid(method: Generator, train: Corpus, test) -> str:
    task = Generation(n_images=IMAGES, dimensions=6)
    rows = {
        (row.setting, getattr(row, "metric", "")): row for row in task.score(test, task.predict(method, train, test))
    }
    value, low, high = (rows["generated", name].value for name in ("kid", "kid_low", "kid_high"))
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    main()
