"""Time a training step of our model and of the official one: `python -m tests.parity.step_time`.

Loss of the official fine-tuning script (values, values from the cell, zero probabilities of both, cell similarity) and
Adam, on one thread of the CPU. The models take turns step by step, so that other work on the machine slows all alike.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from baselines.scgpt.model import ScGPT
from tests.parity.official import Size, batch, official_losses, our_losses, pair

SIZE = Size(n_genes=2_000, d=64, heads=4, layers=2, d_hid=64)
CELLS, TOKENS, DROPOUT = 32, 256, 0.2
ROUNDS, WARM_UP = 12, 2
TARGET = 0.35  # of the official step


def models() -> dict[str, torch.nn.Module]:
    """The models that are timed, by name."""
    networks = {"official": pair(SIZE, dropout=DROPOUT, zero_prob=True)[0]}
    networks["official, attention dropout 0"], ours = pair(SIZE, dropout=DROPOUT, zero_prob=True)
    for layer in networks["official, attention dropout 0"].transformer_encoder.layers:
        layer.self_attn.dropout = 0.0
    return networks | {"ours, attention dropout 0": ours}


def step(model: torch.nn.Module, adam: torch.optim.Optimizer, number: int) -> tuple[float, float]:
    """Seconds that one step takes, of the process and of the clock."""
    x = batch(SIZE, number, CELLS, TOKENS)
    busy, clock = time.process_time(), time.perf_counter()
    losses = our_losses if isinstance(model, ScGPT) else official_losses
    loss = sum(losses(model, x).values())
    adam.zero_grad()
    loss.backward()
    adam.step()
    return time.process_time() - busy, time.perf_counter() - clock


def main() -> int:
    """Print a table. Returns 1 where our step takes more than `TARGET` of the official one, else 0."""
    torch.set_num_threads(1)
    steps = {name: [] for name in models()}
    trained = {name: (model.train(), torch.optim.Adam(model.parameters(), lr=1e-4)) for name, model in models().items()}
    for number in range(ROUNDS + WARM_UP):
        for name, (model, adam) in trained.items():
            steps[name].append(step(model, adam, number))
    base = [busy for busy, _ in steps["official"][WARM_UP:]]
    print(f"\n{CELLS} cells of {TOKENS} tokens, {SIZE}, dropout {DROPOUT}, torch {torch.__version__}, {ROUNDS} steps")
    print(f"{'':<32}{'CPU ms, least':>15}{'median':>9}{'of official':>13}{'clock ms, median':>18}")
    for name, timings in steps.items():
        busy, clock = zip(*timings[WARM_UP:], strict=True)
        share = statistics.median(a / b for a, b in zip(busy, base, strict=True))
        figures = f"{min(busy) * 1e3:15.0f}{statistics.median(busy) * 1e3:9.0f}{share:13.2f}"
        print(f"{name:<32}{figures}{statistics.median(clock) * 1e3:18.0f}")
    print(f"ours is {'within' if share <= TARGET else 'OVER'} {TARGET} of the official step")
    return int(share > TARGET)


if __name__ == "__main__":
    sys.exit(main())
