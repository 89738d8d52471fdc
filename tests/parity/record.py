"""Record what the official package computes, for tests that run without it: `python -m tests.parity.record`.

A file of tests/fixtures/scgpt/ holds random weights under the official names, a batch, and the official outputs,
losses and gradients; or values and their official bins. Each file names the versions that made it.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from tests.parity.official import Size, batch, gradients, official_losses, pair, part, shared

FOLDER = Path(__file__).parents[1] / "fixtures" / "scgpt"
MODELS = {
    "plain": (Size(n_genes=30, d=16, heads=2, layers=2, d_hid=16), {}),
    "all_heads": (Size(n_genes=20, d=16, heads=4, layers=1, d_hid=24), {"zero_prob": True, "n_domains": 3}),
}
STEPS = 20


def model(size: Size, heads: dict) -> dict[str, np.ndarray]:
    """Weights, a batch, outputs at its real tokens, losses, gradients, and the losses of some steps of Adam."""
    official, _ = pair(size, **heads)
    x = batch(size, b=4, t=12)
    arrays = {f"weight/{name}": value.clone() for name, value in shared(official).items()}
    arrays |= {f"batch/{name}": value for name, value in x._asdict().items()}
    arrays["heads"] = torch.tensor(size.heads)
    with torch.no_grad():
        out = official(x.genes, x.values, x.padding, MVC=True)
        out["token"] = official._encode(x.genes, x.values, x.padding)
    for name in ("token", "mlm_output", "mvc_output", "mlm_zero_probs", "mvc_zero_probs"):
        if name in out:
            arrays[f"output/{name}"] = out[name][~x.padding]
    if "dab_output" in out:
        arrays["output/dab_output"] = out["dab_output"]
    losses = official_losses(official, x)
    arrays |= {f"loss/{name}": value.detach() for name, value in losses.items()}
    arrays |= {f"gradient/{name}": value for name, value in gradients(official, sum(losses.values())).items()}
    adam, curve = torch.optim.Adam(official.parameters(), lr=1e-3), []
    for _ in range(STEPS):
        loss = sum(official_losses(official, x).values())
        adam.zero_grad()
        loss.backward()
        adam.step()
        curve.append(loss.item())
    return {name: value.numpy() for name, value in arrays.items()} | {"adam": np.array(curve)}


def bins() -> dict[str, np.ndarray]:
    """Rows of values, the draws for them, and their bins: counts, fractions, ties, one value, only zeros."""
    rng = np.random.default_rng(0)
    rows = [rng.poisson(depth, 80) for depth in (0.1, 0.5, 2, 10, 100, 1000)]
    rows += [rng.gamma(1.0, size=80), rng.poisson(3, 80) * 0.37, np.full(80, 4), np.eye(80)[7], np.zeros(80)]
    values, draws = np.array(rows, np.float32), np.zeros((len(rows), 80))
    binned = np.zeros(values.shape, np.int64)
    for i, row in enumerate(values):
        np.random.seed(i)  # noqa: NPY002 - the official function draws from it
        binned[i] = part("scgpt.preprocess").binning(row, n_bins=51)
        draws[i, row != 0] = np.random.RandomState(i).rand(np.count_nonzero(row))
    return {"values": values, "draws": draws, "bins": binned.astype(np.int8)}


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    versions = {f"version/{name}": np.array(version(name)) for name in ("scgpt", "torch", "numpy")}
    records = {"bins": bins()} | {name: model(*made) for name, made in MODELS.items()}
    for name, arrays in records.items():
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays, **versions)


if __name__ == "__main__":
    main()
