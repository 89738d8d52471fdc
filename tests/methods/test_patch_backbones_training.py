"""Patches as images in training: at the trunk's size and budget, both backbones learn from neighbours."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make as make_plugin
from benchmark.model.masked import MaskedSpots
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import Budget
from benchmark.training.flops import count_flops
from methods.patch.backbones import MaskedImage
from methods.patch.method import Patch
from tests.helpers.images import MICRO, N_GENES, PANEL, SIZE, M, by_backbone, crops, make

# The same trunk, budget and training


@by_backbone
@pytest.mark.parametrize(("size", "n_channels"), [(8, 256), (16, 512)])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_backbone_has_the_parameters_of_the_trunk_within_ten_percent(backbone, preset, size, n_channels):
    with torch.device("meta"):
        gene_mean = torch.zeros(11_871)
        modules = (
            MaskedSpots(gene_mean, PRESETS[preset]),
            MaskedImage(gene_mean, PRESETS[preset], size, n_channels, backbone),
        )
    trunk, image = (sum(parameter.numel() for parameter in module.parameters()) for module in modules)
    assert abs(image / trunk - 1) < 0.1


@by_backbone
def test_every_parameter_learns(backbone):
    module = make(backbone).train()
    batch, hidden = crops(0)
    module(batch, hidden).backward()
    assert not [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    ("backbone", "per_pixel"),
    [
        ("vit", MICRO.layers * (12 * MICRO.d**2 + 2 * SIZE**2 * MICRO.d)),
        ("convnext", 3 * MICRO.layers // 2 * (8 * MICRO.d**2 + 7**2 * MICRO.d)),
    ],
)
def test_a_step_is_counted_as_by_hand(backbone, per_pixel):
    module = make(backbone)
    batch, hidden = crops(0)
    b, t, m = hidden.shape
    pixels = b * SIZE**2
    first = 2 * pixels * (2 * m + 1) * MICRO.d  # the input is data, which needs no gradient
    head = 2 * b * t * (MICRO.d**2 + MICRO.d * m)
    assert count_flops(module, batch, hidden) == 2 * first + 3 * (2 * pixels * per_pixel + head)


def smooth(seed: int, b: int = 32, size: int = SIZE) -> dict[str, torch.Tensor]:
    """Full crops of waves at least as long as the crop; each gene follows the wave with a shift of its own."""
    rng = np.random.default_rng(seed)
    cell = np.argwhere(np.ones((size, size)))
    direction, phase = rng.normal(size=(b, 2)) * 0.5, rng.uniform(0, 2 * np.pi, size=(b, 1, 1))
    wave = np.sin((cell @ direction.T).T[..., None] + phase + np.linspace(0, 3, M)).astype(np.float32)
    return {
        "values": torch.tensor(wave),
        "genes": PANEL.expand(b, 1, -1),
        "measured": torch.ones(b, 1, len(PANEL), dtype=torch.bool),
        "cell": torch.tensor(cell).expand(b, -1, -1),
        "position": torch.tensor(cell - cell.mean(0), dtype=torch.float32).expand(b, -1, -1),
        "valid": torch.ones(b, size**2, dtype=torch.bool),
    }


def trained(backbone: str, steps: int) -> MaskedImage:
    torch.manual_seed(0)
    module = MaskedImage(torch.zeros(N_GENES), MICRO, SIZE, M, backbone)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for step in range(steps):
        batch = smooth(step)
        module(batch, module.draw_hidden(batch, torch.Generator().manual_seed(step))).backward()
        optimizer.step()
        optimizer.zero_grad()
    return module


@pytest.mark.slow
@by_backbone
def test_a_smooth_signal_is_learned(backbone):
    module = trained(backbone, 300).eval()
    batch = smooth(10**6, b=256)
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = module(batch, hidden)
    error_of_mean = (batch["values"] - batch["values"].mean((0, 1)))[hidden].square().mean()
    assert loss < 0.4 * error_of_mean


@by_backbone
def test_training_repeats_to_the_bit(backbone):
    one, two = (trained(backbone, 5).state_dict() for _ in range(2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


# The method


@pytest.fixture
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", replace(MICRO, decoder=1))


def fitted(backbone: str, corpus, **options) -> Patch:
    method = Patch(size=4, n_channels=16, channels="corpus_hvg", backbone=backbone, preset="micro", **options)
    method.fit(corpus, Budget("spots", 10_000), 0)
    return method


@by_backbone
@pytest.mark.parametrize("embed", ["overlap", "centre", "tiles", "self"])
def test_every_spot_is_embedded(micro, tissue, backbone, embed):
    slide = tissue[tissue.names[0]]
    method = fitted(backbone, tissue, embed=embed)
    embedding = method.embed(slide)
    assert embedding.shape == (slide.n_obs, MICRO.d)
    assert np.isfinite(embedding).all() and embedding.any(axis=1).all()
    assert np.array_equal(method.embed(slide), embedding)
    assert np.array_equal(fitted(backbone, tissue, embed=embed).embed(slide), embedding)


@by_backbone
def test_a_reconstruction_never_uses_what_it_predicts(micro, tissue, backbone):
    slide = tissue[tissue.names[0]]
    hidden = (slide.obsm["lattice"] < 5).all(axis=1)
    method = fitted(backbone, tissue, masking="blocks")
    predicted = method.reconstruct(slide, hidden)
    assert predicted.shape == slide.shape and np.isfinite(predicted).all()
    counts = slide.X.toarray()
    counts[hidden] = np.random.default_rng(0).poisson(50, size=(hidden.sum(), slide.n_vars))
    altered = slide.copy()
    altered.X = sp.csr_matrix(counts)
    assert np.array_equal(method.reconstruct(altered, hidden)[hidden], predicted[hidden])


# Bad settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "conv"}, "method 'patch': option backbone: unknown 'conv'; did you mean 'convnext'"),
        ({"channels": "variance"}, "backbone 'vit': channel rule 'variance' .*set channels to corpus_hvg or moran"),
        ({"channels": "slide_hvg"}, "channel rule 'slide_hvg'"),
        ({"tokens": "bag"}, "no tokens 'bag'"),
        ({"embed": "slide"}, "set embed to overlap, centre or tiles"),
    ],
)
def test_what_no_image_can_be_made_of_is_refused(options, message):
    with pytest.raises(UnitBenchError, match=message) as error:
        make_plugin("methods", "patch", {"backbone": "vit", "channels": "moran"} | options)
    assert "\n" not in str(error.value)
