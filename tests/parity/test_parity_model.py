"""Our scGPT against the official package: weights, outputs, losses, gradients, training."""

from __future__ import annotations

import pytest
import torch

from baselines.scgpt.checkpoint import load, read_folder
from baselines.scgpt.model import ScGPT
from tests.parity.official import Size, batch, gradients, official_losses, own_losses, pair, save, shared

pytestmark = pytest.mark.parity
SIZES = {"small": Size(), "wide": Size(d=64, heads=4, layers=3, d_hid=64), "one head": Size(d=16, heads=1, d_hid=16)}
PUBLISHED = Size(n_genes=60_694, d=512, heads=8, layers=12, d_hid=512)
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}


def largest(found, wanted) -> float:
    return (found - wanted).abs().max().item()


def relative(found: dict, wanted: dict) -> float:
    """Largest norm of a tensor's difference, in the tensor's own norm."""
    assert found.keys() == wanted.keys()
    return max(((found[name] - wanted[name]).norm() / wanted[name].norm()).item() for name in wanted)


def test_names_and_shapes_are_the_official_ones():
    """The released checkpoints have one tensor more than the package's own models: the flag of generated tokens."""
    size = Size(layers=12)
    official, _ = pair(size)
    own = ScGPT(len(size.vocab), size.vocab["<pad>"], size.d, size.heads, size.layers, size.d_hid)
    shapes = {name: value.shape for name, value in own.state_dict().items()}
    assert len(shapes) == 163 and shapes.pop("flag_encoder.weight") == (2, size.d)
    assert shapes == {name: value.shape for name, value in shared(official).items()}


@pytest.mark.parametrize("fused", [False, True])
def test_weights_move_there_and_back(fused, tmp_path):
    official, _ = pair(Size(), zero_prob=True, n_domains=3)
    own = load(read_folder(save(official, Size(), tmp_path, fused)))
    for name, value in shared(official).items():
        assert torch.equal(own.state_dict()[name], value), name
    other, _ = pair(Size(), seed=1, zero_prob=True, n_domains=3)
    other.load_state_dict(other.state_dict() | own.state_dict(), strict=True)
    assert shared(other).keys() == own.state_dict().keys()
    assert all(torch.equal(value, shared(official)[name]) for name, value in shared(other).items())


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_outputs_of_a_padded_batch(size, dtype, within):
    """In evaluation, where the official encoder takes another path that fills padding with zeros: only real tokens."""
    official, own = (network.to(dtype).eval() for network in pair(size))
    x = batch(size).to(dtype)
    x.values[0, 3] = 1000.0  # clipped
    with torch.no_grad():
        wanted = official._encode(x.genes, x.values, x.padding)
        out = official(x.genes, x.values, x.padding, MVC=True)
        h = own.encode(x.genes, x.values, x.padding)
    there, bits = ~x.padding, torch.finfo(dtype).bits
    within(f"token vectors, float{bits}", largest(h[there], wanted[there]), EXACT[dtype])
    within(f"cell vector, float{bits}", largest(h[:, 0], out["cell_emb"]), EXACT[dtype])
    within(f"values, float{bits}", largest(own.value(h)[there], out["mlm_output"][there]), EXACT[dtype])
    mvc = own.mvc(h[:, 0], x.genes)[there]
    scale = out["mvc_output"][there].abs().max().clamp(min=1)
    within(f"values from the cell, float{bits}", largest(mvc, out["mvc_output"][there]) / scale, EXACT[dtype])


@pytest.mark.parametrize("dtype", EXACT)
def test_probabilities_and_domains(dtype, within):
    official, own = (network.to(dtype).train() for network in pair(Size(), zero_prob=True, n_domains=3))
    x = batch(Size()).to(dtype)
    out = official(x.genes, x.values, x.padding, MVC=True)
    h = own.encode(x.genes, x.values, x.padding)
    found = {
        "mlm_zero_probs": own.zero_probability(h),
        "mvc_zero_probs": own.mvc_with_zero_probability(h[:, 0], x.genes)[1],
        "dab_output": own.discriminate(h[:, 0])[:, None].expand(-1, x.genes.shape[1], -1),
    }
    out["dab_output"] = out["dab_output"][:, None].expand(-1, x.genes.shape[1], -1)
    for name, value in found.items():
        difference = largest(value[~x.padding], out[name][~x.padding])
        within(f"zero probabilities, domains, float{torch.finfo(dtype).bits}", difference, EXACT[dtype])


@pytest.mark.parametrize("seed", range(4))
def test_each_loss(seed, within):
    official, own = pair(Size(), seed, zero_prob=True, n_domains=3)
    x = batch(Size(), seed)
    wanted, found = official_losses(official, x), own_losses(own, x)
    assert found.keys() == wanted.keys()
    for name in wanted:
        within("losses, relative", abs(found[name] / wanted[name] - 1).item(), 1e-5)


@pytest.mark.parametrize("heads", [{}, {"zero_prob": True}, {"zero_prob": True, "n_domains": 3}], ids=str)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_gradients_of_all_losses(size, heads, within):
    official, own = pair(size, **heads)
    x = batch(size)
    wanted = gradients(official, sum(official_losses(official, x).values()))
    found = gradients(own, sum(own_losses(own, x).values()))
    assert found.keys() == own.state_dict().keys()
    within("gradients, relative", relative(found, wanted), 1e-5)


def test_the_domains_gradient_is_reversed_for_the_encoder_alone(within):
    """By its sign: our discriminator without the reversal gives the encoder exactly the opposite."""
    official, own = pair(Size(), n_domains=3)
    x = batch(Size())
    wanted = gradients(official, official_losses(official, x)["dab"])
    found = gradients(own, own_losses(own, x)["dab"])
    within("gradients, relative", relative(found, wanted), 1e-5)
    head = own.grad_reverse_discriminator
    cell = own.encode(x.genes, x.values, x.padding)[:, 0]
    plain = gradients(own, torch.nn.functional.cross_entropy(head.out_layer(head._decoder(cell)), x.domain))
    for name, value in plain.items():
        sign = 1 if name.startswith("grad_reverse_discriminator.") else -1
        assert torch.allclose(value, sign * found[name], rtol=1e-4, atol=1e-7), name


def test_twenty_steps_of_adam(within):
    official, own = pair(Size(), zero_prob=True, n_domains=3)
    curves = {}
    for name, network, losses in (("official", official, official_losses), ("own", own, own_losses)):
        adam = torch.optim.Adam([p for n, p in network.named_parameters() if not n.startswith("cls_")], lr=1e-3)
        curve = []
        for step in range(20):
            loss = sum(losses(network, batch(Size(), step % 5)).values())
            adam.zero_grad()
            loss.backward()
            adam.step()
            curve.append(loss.item())
        curves[name] = torch.tensor(curve, dtype=torch.float64)
    assert curves["official"][-5:].mean() < 0.95 * curves["official"][:5].mean()
    difference = (curves["own"] / curves["official"] - 1).abs().max().item()
    within("loss over 20 Adam steps, relative", difference, 1e-4)


def test_the_size_of_the_released_models(within):
    """51 million parameters, 60,697 tokens, 12 layers of width 512: one cell vector and one gradient."""
    official, own = pair(PUBLISHED)
    x = batch(PUBLISHED, b=2, t=64)
    wanted = gradients(official, sum(official_losses(official, x).values()))
    found = gradients(own, sum(own_losses(own, x).values()))
    within("gradients at the released size, relative", relative(found, wanted), 1e-5)
    with torch.no_grad():
        wanted, found = (f(x.genes, x.values, x.padding) for f in (official.eval()._encode, own.eval().encode))
    within("token vectors at the released size", largest(found[~x.padding], wanted[~x.padding]), 1e-5)
