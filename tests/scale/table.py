"""What size costs: seconds, crops a second and memory, for slides and corpora of a thousand to ten million spots.

    python -m tests.scale.table --folder FOLDER --most 10000000

Every measurement is made in a process of its own, and is kept in FOLDER, so the table goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmark.core.memory import peak_rss

SLIDES = (1_000, 10_000, 100_000, 1_000_000)  # spots of one slide
CORPORA = (100_000, 1_000_000, 10_000_000)  # spots of ten slides together
FLOPS = 2e11
SECONDS = 5.0
SIDES = (1, 8, "slide")  # of a sample of `context`
CROPS = {"crops 8 × 8 × 256": (8, 256), "crops 16 × 16 × 512": (16, 512)}


def prepare(folder: Path, n_slides: int, n_spots: int, panel: int, share: float) -> dict:
    """Seconds to prepare a corpus."""
    from benchmark.data.prepare import prepare
    from tests.scale.tissue import LargeTissue

    start = time.perf_counter()
    corpus = prepare(LargeTissue(n_slides, n_spots, panel, share), folder)
    return {"seconds": time.perf_counter() - start, "spots": corpus.n_spots}


def crops(folder: Path, size: int, m: int) -> dict:
    """Crops a second of a core's own time, with the default rule."""
    import numpy as np

    from benchmark.units.patch import PatchUnit

    corpus, unit = _training(folder), PatchUnit(size, m)
    n, k = min(unit.at_once, 256), 0
    unit.draw(corpus, n, np.random.default_rng(0))
    start = time.process_time()
    while (seconds := time.process_time() - start) < SECONDS or k == 0:
        unit.draw(corpus, n, np.random.default_rng(k))
        k += 1
    return {"crops_per_second": n * k / seconds}


def train(folder: Path, side: int | str) -> dict:
    """Seconds to train `context` with `FLOPS`, its tokens included, and to embed one slide."""
    from benchmark.core import registry
    from benchmark.data.corpus import open_corpus
    from benchmark.data.shown import shown
    from benchmark.training.budget import Budget

    corpus, made = _training(folder), registry.make("methods", "context", {"side": side})
    start = time.perf_counter()
    made.fit(corpus, Budget("flops", FLOPS, "auto"), 0)
    trained = time.perf_counter()
    slide = shown(open_corpus(folder)[corpus.names[0]])
    embedding = made.embed(slide)
    assert embedding.shape[0] == slide.n_obs
    return {"seconds": trained - start, "embed_seconds": time.perf_counter() - trained, "embedded": slide.n_obs}


def _training(folder: Path):
    from benchmark.data.corpus import open_corpus

    corpus = open_corpus(folder)
    return corpus.for_methods(corpus.names)


MEASURES = {"prepare": prepare, "crops": crops, "train": train}


def measured(folder: Path, name: str, what: str, *args: object) -> dict:
    """The result of a measurement, with the peak memory of its process; kept in a file."""
    file = folder / f"{name}.json"
    if not file.exists():
        words = [sys.executable, "-m", "tests.scale.table", "--one", json.dumps([what, *map(str_or_number, args)])]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr}")
        file.write_text(done.stdout.splitlines()[-1])
    return json.loads(file.read_text())


def str_or_number(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def one(what: str, *args: object) -> None:
    """Measure in this process, and print the result as JSON."""
    folder, *rest = args
    result = MEASURES[what](Path(str(folder)), *rest)
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps(result | {"peak_bytes": max(peak_rss(), of_children)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/scale"))
    parser.add_argument("--most", type=int, default=CORPORA[-1], help="Spots of the largest corpus.")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*json.loads(given.one))
        return
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print("One slide\n" + table(of_slides(folder, given.most)))
    print("\nTen slides with three panels\n" + table(of_corpora(folder, given.most)))


def of_slides(folder: Path, most: int) -> list[list[str]]:
    """Rows about corpora of one slide."""
    rows = [["spots a slide", *(f"{name}, a second" for name in CROPS), "peak GB"]]
    for n_spots in (n for n in SLIDES if n <= most):
        small, wide = folder / f"slide-{n_spots}", folder / f"wide-{n_spots}"
        measured(folder, f"slide-{n_spots}-prepare", "prepare", small, 1, n_spots, 300, 0.3)
        found = [measured(folder, f"slide-{n_spots}-crops8", "crops", small, *CROPS["crops 8 × 8 × 256"])]
        measured(folder, f"wide-{n_spots}-prepare", "prepare", wide, 1, n_spots, 11_871, 0.05)
        found += [measured(folder, f"wide-{n_spots}-crops16", "crops", wide, *CROPS["crops 16 × 16 × 512"])]
        peak = max(result["peak_bytes"] for result in found)
        rows.append([f"{n_spots:,}", *(f"{r['crops_per_second']:,.0f}" for r in found), f"{peak / 1e9:.2f}"])
    return rows


def of_corpora(folder: Path, most: int) -> list[list[str]]:
    """Rows about corpora of ten slides."""
    rows = [["spots", "step", "seconds", "embed, seconds", "peak GB"]]
    for n_spots in (n for n in CORPORA if n <= most):
        corpus = folder / f"corpus-{n_spots}"
        found = {
            "prepare": measured(folder, f"corpus-{n_spots}-prepare", "prepare", corpus, 10, n_spots // 10, 300, 0.3)
        }
        for side in SIDES:
            found[f"side {side}"] = measured(folder, f"corpus-{n_spots}-side-{side}", "train", corpus, side)
        for step, result in found.items():
            embed = f"{result['embed_seconds']:.1f}" if "embed_seconds" in result else ""
            rows.append([f"{n_spots:,}", step, f"{result['seconds']:.1f}", embed, f"{result['peak_bytes'] / 1e9:.2f}"])
    return rows


def table(rows: list[list[str]]) -> str:
    """The rows in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
