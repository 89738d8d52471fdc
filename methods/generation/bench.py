"""What token merging is worth: seconds of a step with and without it, and the MMD² that each ratio reaches.

python -m methods.generation.bench
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.core.contracts import Measured
from benchmark.data.corpus import Corpus
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.tasks.generation import Generation
from benchmark.training.budget import Budget
from methods.generation.generator import Generator

if TYPE_CHECKING:
    import anndata as ad

RATIOS = (0.0, 0.25, 0.5)
SAMPLES = 8  # in a timed step
ROUNDS = 15
IMAGES = 128  # that the MMD² is taken over
Steps = dict[str, Callable[[], object]]  # the two kinds of step, by name


def main() -> None:
    """Train one generator for each ratio, time their steps, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--patch", type=int, default=2, help="pixels along a side of a token")
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--flops", type=float, default=2e12, help="of training, for each ratio; 0: timing alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = simulated(Path(folder))
        train, test = corpus.subset(corpus.names[:2]), corpus[corpus.names[2]]
        methods = {}
        for ratio in RATIOS:
            methods[ratio] = Generator(
                objective="diffusion",
                pixels=options.pixels,
                patch=options.patch,
                merging=ratio,
                samples_per_step=SAMPLES,
                preset=options.preset,
            )
            methods[ratio].fit(train, Budget("flops", options.flops), seed=0)
        seconds = timed({ratio: steps(method) for ratio, method in methods.items()})
        print(f"{options.pixels} px, tokens of {options.patch} px, {options.preset}, {torch.get_num_threads()} threads")
        print("merging  generation step        training step          MMD²")
        for ratio, method in methods.items():
            columns = [f"{ratio:7.2f}"]
            for kind in ("generation", "training"):
                merged, whole = seconds[ratio][kind], seconds[0.0][kind]
                columns.append(f"{merged * 1e3:7.1f} ms ({whole / merged:4.2f} ×)")
            columns.append(mmd2(method, train, test) if options.flops else "not trained")
            print("  ".join(columns), flush=True)


def simulated(folder: Path) -> Corpus:
    """Three simulated slides with images."""
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(16, 16), n_genes=100, depth=3000)
    return write_corpus(data.slides(), folder, data.record())


def steps(method: Generator) -> Steps:
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


def timed(steps_by_ratio: dict[float, Steps]) -> dict[float, dict[str, float]]:
    """Median seconds of each step. The ratios take turns, so that other work on the machine slows all of them alike."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    seconds = {ratio: {kind: [] for kind in steps} for ratio, steps in steps_by_ratio.items()}
    for turn in range(ROUNDS + 1):
        for ratio, steps in steps_by_ratio.items():
            for kind, step in steps.items():
                wait()
                start = time.perf_counter()
                step()
                wait()
                if turn:  # the first turn warms up
                    seconds[ratio][kind].append(time.perf_counter() - start)
    return {ratio: {kind: float(np.median(all_)) for kind, all_ in kinds.items()} for ratio, kinds in seconds.items()}


def mmd2(method: Generator, train: Corpus, test: ad.AnnData) -> str:
    """MMD² of the images generated for the test slide."""
    task = Generation(n_images=IMAGES, dimensions=6)
    scores = [score for score in task.score(test, task.predict(method, train, test)) if isinstance(score, Measured)]
    generated = {score.metric: score.value for score in scores if score.setting == "generated"}
    return f"{generated['mmd2']:.3g}"


if __name__ == "__main__":
    main()
