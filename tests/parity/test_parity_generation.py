"""Generation and scGPT-spatial's heads, which no release of the official package has, against plain formulations.

The formulations here follow the authors' source: one dense attention of all tokens under an explicit mask, and the
heads in NumPy. Unlike the other parity tests, these do not run the authors' code, so they need no official package.
Properties that hold for any correct reading of that source are tested too.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from baselines.scgpt.checkpoint import load, read_folder
from baselines.scgpt.losses import neighbour_cells
from baselines.scgpt.model import ScGPT

pytestmark = pytest.mark.parity
N_GENES, PAD, CLS, D, HEADS = 40, 40, 41, 32, 4
B, K, Q = 5, 9, 7
SPATIAL = {"experts": 4, "impute": True}


def make(layers: int = 2, **heads) -> ScGPT:
    """A model with noise added to every weight, so that no norm or bias is the identity."""
    torch.manual_seed(0)
    model = ScGPT(N_GENES + 2, PAD, D, HEADS, layers, d_hid=24, dropout=0.0, **heads).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return model


def tokens(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Known genes, values and padding `[B, K]`, "CLS" first, and query genes `[B, Q]`. No gene is twice in a cell."""
    generator = torch.Generator().manual_seed(seed)
    genes = torch.stack([torch.randperm(N_GENES, generator=generator)[: K + Q] for _ in range(B)])
    padding = torch.arange(K) >= torch.linspace(K, 3, B).long()[:, None]
    known = genes[:, :K].masked_fill(padding, PAD)
    known[:, 0] = CLS
    values = torch.randint(0, 51, (B, K), generator=generator).double().masked_fill(padding, -2)
    return known, values, padding, genes[:, K:]


def dense(model: ScGPT, known: Tensor, values: Tensor, padding: Tensor, query: Tensor, cell: Tensor | None = None):
    """All tokens `[B, K + Q]` in one sequence. Each has a row of the mask, which tells what it attends to."""
    w = dict(model.named_parameters())

    def norm(x, name):
        return layer_norm(x, (D,), w[f"{name}.weight"], w[f"{name}.bias"])

    def dot(x, name):
        return linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    genes = norm(w["encoder.embedding.weight"][torch.cat([known, query], dim=1)], "encoder.enc_norm")
    bins = dot(dot(values[..., None], "value_encoder.linear1").relu(), "value_encoder.linear2")
    flag = w["flag_encoder.weight"][1].expand(B, Q, D)
    x = genes + torch.cat([norm(bins, "value_encoder.norm"), flag], dim=1)
    if cell is not None:
        x = torch.cat([cell[:, None], x[:, 1:]], dim=1)

    may = torch.zeros(B, K + Q, K + Q, dtype=torch.bool)
    may[:, :, :K] = ~padding[:, None]
    may |= torch.diag(torch.arange(K + Q) >= K)
    for i in range(len(model.transformer_encoder["layers"])):
        layer = f"transformer_encoder.layers.{i}"
        qkv = linear(x, w[f"{layer}.self_attn.in_proj_weight"], w[f"{layer}.self_attn.in_proj_bias"])
        mixed = []
        for head in range(HEADS):
            columns = slice(head * D // HEADS, (head + 1) * D // HEADS)
            q, k, v = (part[..., columns] for part in qkv.split(D, dim=-1))
            score = (q @ k.transpose(1, 2) / (D // HEADS) ** 0.5).masked_fill(~may, -torch.inf)
            mixed.append(score.softmax(-1) @ v)
        mixed = torch.cat(mixed, dim=-1)
        mixed = torch.cat([dot(mixed[:, :K], f"{layer}.self_attn.out_proj"), mixed[:, K:]], dim=1)
        x = norm(x + mixed, f"{layer}.norm1")
        x = norm(x + dot(dot(x, f"{layer}.linear1").relu(), f"{layer}.linear2"), f"{layer}.norm2")
    return x[:, :K], x[:, K:]


@pytest.mark.parametrize("prompted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_generation_is_one_dense_attention_under_a_mask(dtype, prompted, within):
    model = make()
    known, values, padding, query = tokens()
    cell = torch.randn(B, D, dtype=torch.float64) if prompted else None
    wanted = dense(model, known, values, padding, query, cell)
    model = model.to(dtype)
    cell = cell if cell is None else cell.to(dtype)
    actual = model.generate(known, values.to(dtype), padding, query, cell)
    limit = 1e-12 if dtype == torch.float64 else 1e-5
    difference = max((actual[0] - wanted[0])[~padding].abs().max(), (actual[1] - wanted[1]).abs().max())
    within(f"generation, dense formulation, float{torch.finfo(dtype).bits}", difference.item(), limit)


def test_gradients_of_generation(within):
    model = make()
    arguments = tokens()
    actual, wanted = [], []
    for generate, gradients in ((model.generate, actual), (lambda *x: dense(model, *x), wanted)):
        known, query = generate(*arguments)
        loss = model.value(query).square().sum() + known[:, 0].sin().sum()
        reached = {name: weight for name, weight in model.named_parameters() if not name.startswith("mvc")}
        gradients.extend(torch.autograd.grad(loss, list(reached.values())))
    difference = max(((a - b).norm() / b.norm()).item() for a, b in zip(actual, wanted, strict=True))
    within("gradients of generation, dense formulation, relative", difference, 1e-10)


def test_what_is_generated_depends_on_the_known_tokens_alone():
    """Another query changes no known token and no query, and without queries the known tokens are just encoded."""
    model, (known, values, padding, query) = make(), tokens()
    context, generated = model.generate(known, values, padding, query)
    other = query.clone()
    other[:, 2] = (other[:, 2] + 1) % N_GENES
    again, changed = model.generate(known, values, padding, other)
    assert torch.equal(context, again)
    same = torch.arange(Q) != 2
    assert torch.allclose(generated[:, same], changed[:, same], atol=1e-12)
    assert not torch.allclose(generated[:, 2], changed[:, 2], atol=1e-3)
    assert torch.allclose(context[~padding], model.encode(known, values, padding)[~padding], atol=1e-12)


def test_the_output_projection_is_skipped_for_queries_alone():
    model, arguments = make(layers=1), tokens()
    before = model.generate(*arguments)
    with torch.no_grad():
        model.transformer_encoder["layers"][0].self_attn.out_proj.weight.neg_()
    after = model.generate(*arguments)
    assert torch.equal(before[1], after[1]) and not torch.allclose(before[0], after[0])


def as_numpy(model: ScGPT) -> dict[str, np.ndarray]:
    """Weights by name."""
    return {name: value.detach().numpy() for name, value in model.named_parameters()}


def test_the_mixture_of_experts_of_scgpt_spatial(within):
    """Of four experts, each token uses its two likeliest, weighted by their probabilities scaled to a sum of one."""
    model = make(**SPATIAL)
    w, h = as_numpy(model), np.random.default_rng(0).normal(size=(30, D))
    gate = np.exp(h @ w["decoder.moe.gate.gate.weight"].T + w["decoder.moe.gate.gate.bias"])
    gate /= gate.sum(1, keepdims=True)
    wanted, used = np.zeros(30), set()
    for i, token in enumerate(h):
        best = np.argsort(gate[i])[-2:]
        used |= set(best)
        for expert in best:
            x = token
            for layer in (0, 2, 4):
                name = f"decoder.moe.experts.{expert}.fc.{layer}"
                x = w[f"{name}.weight"] @ x + w[f"{name}.bias"]
                x = np.where(x > 0, x, 0.01 * x) if layer < 4 else x
            wanted[i] += gate[i, expert] / gate[i, best].sum() * x.item()
    assert used == {0, 1, 2, 3}
    actual = model.value(torch.from_numpy(h)).detach().numpy()
    within("mixture of experts, plain formulation, float64", np.abs(actual - wanted).max(), 1e-12)


@pytest.mark.parametrize("k", [1, 4, 7])
def test_a_spots_values_from_its_neighbours(k, within):
    """The authors take the first sorted spot as the spot itself, which fails where two spots have one position."""
    model = make(**SPATIAL)
    w, rng = as_numpy(model), np.random.default_rng(k)
    cells, position, genes = rng.normal(size=(8, D)), rng.normal(size=(8, 2)), rng.integers(0, N_GENES, (8, 6))
    position[3] = position[5]
    wanted = np.zeros((8, 6))
    for i in range(8):
        others = [j for j in range(8) if j != i]
        near = sorted(others, key=lambda j: np.hypot(*(position[i] - position[j])))[:k]
        mean = np.mean([cells[j] for j in near], axis=0)
        for t in range(6):
            gene = w["encoder.embedding.weight"][genes[i, t]]
            gene = (gene - gene.mean()) / np.sqrt(gene.var() + 1e-5)
            gene = gene * w["encoder.enc_norm.weight"] + w["encoder.enc_norm.bias"]
            query = w["impute_mvc_decoder.gene2query.weight"] @ gene + w["impute_mvc_decoder.gene2query.bias"]
            wanted[i, t] = w["impute_mvc_decoder.W.weight"] @ (1 / (1 + np.exp(-query))) @ mean
    neighbours = neighbour_cells(torch.from_numpy(cells), torch.from_numpy(position), k)
    actual = model.impute(neighbours, torch.from_numpy(genes)).detach().numpy()
    within("values from neighbours, plain formulation, float64", np.abs(actual - wanted).max(), 1e-12)


def test_every_tensor_of_a_spatial_checkpoint_is_loaded_and_used(tmp_path):
    """Also under the names of flash attention, where the authors' loader leaves the input projections random."""
    model = make(layers=12, **SPATIAL).float()
    state = {name.replace(".in_proj_", ".Wqkv."): value for name, value in model.state_dict().items()}
    assert len(state) == 186 and sum(".Wqkv." in name for name in state) == 24
    args = {"embsize": D, "nheads": HEADS, "d_hid": 24, "nlayers": 12, "dropout": 0.2, "pad_token": "<pad>"}
    vocab = {token: row for row, token in enumerate([*(f"G{i}" for i in range(N_GENES)), "<pad>", "<cls>"])}
    for name, content in (("args.json", args), ("vocab.json", vocab)):
        (tmp_path / name).write_text(json.dumps(content))
    torch.save(state, tmp_path / "best_model.pt")
    ours = load(read_folder(tmp_path), dropout=0.0)
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in model.state_dict().items())

    known, values, padding, query = tokens()
    context, generated = ours.generate(known, values.float(), padding, query)
    many = torch.cat([generated.flatten(0, 1), torch.randn(200, D)])  # enough that every expert is used
    heads = (ours.value(many), ours.mvc(context[:, 0], query), ours.impute(context[:, 0], query))
    sum(head.square().sum() for head in heads).backward()
    assert not [name for name, weight in ours.named_parameters() if not weight.grad.any()]
