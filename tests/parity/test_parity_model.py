"""Our scGPT against the official package: weights, outputs, losses, gradients, training."""

from __future__ import annotations

import pytest
import torch

from baselines.scgpt.checkpoint import load, read_folder
from baselines.scgpt.model import ScGPT
from tests.parity.official import Size, batch, gradients, official_losses, our_losses, pair, save, shared

pytestmark = pytest.mark.parity
SIZES = {"small": Size(), "wide": Size(d=64, heads=4, layers=3, d_hid=64), "one head": Size(d=16, heads=1, d_hid=16)}
PUBLISHED = Size(n_genes=60_694, d=512, heads=8, layers=12, d_hid=512)
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}


def largest(actual, wanted) -> float:
    return (actual - wanted).abs().max().item()


def relative(actual: dict, wanted: dict) -> float:
    """The largest norm of a tensor's difference, divided by the norm of the tensor."""
    assert actual.keys() == wanted.keys()
    return max(((actual[name] - wanted[name]).norm() / wanted[name].norm()).item() for name in wanted)


def test_names_and_shapes_are_the_official_ones():
    """Released checkpoints have one tensor that models of the package lack: the flag of generated tokens."""
    size = Size(layers=12)
    official, _ = pair(size)
    ours = ScGPT(len(size.vocab), size.vocab["<pad>"], size.d, size.heads, size.layers, size.d_hid)
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    assert len(shapes) == 163 and shapes.pop("flag_encoder.weight") == (2, size.d)
    assert shapes == {name: value.shape for name, value in shared(official).items()}


@pytest.mark.parametrize("fused", [False, True])
def test_weights_move_from_official_to_ours_and_back(fused, tmp_path):
    official, _ = pair(Size(), zero_prob=True, n_domains=3)
    ours = load(read_folder(save(official, Size(), tmp_path, fused)))
    for name, value in shared(official).items():
        assert torch.equal(ours.state_dict()[name], value), name
    other, _ = pair(Size(), seed=1, zero_prob=True, n_domains=3)
    other.load_state_dict(other.state_dict() | ours.state_dict(), strict=True)
    assert shared(other).keys() == ours.state_dict().keys()
    assert all(torch.equal(value, shared(official)[name]) for name, value in shared(other).items())


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_outputs_of_a_padded_batch(size, dtype, within):
    """Tokens without padding, since the official encoder fills padding with zeros in evaluation."""
    official, ours = (network.to(dtype).eval() for network in pair(size))
    x = batch(size).to(dtype)
    x.values[0, 3] = 1000.0  # clipped
    with torch.no_grad():
        wanted = official._encode(x.genes, x.values, x.padding)
        out = official(x.genes, x.values, x.padding, MVC=True)
        h = ours.encode(x.genes, x.values, x.padding)
    real, bits = ~x.padding, torch.finfo(dtype).bits
    within(f"token vectors, float{bits}", largest(h[real], wanted[real]), EXACT[dtype])
    within(f"cell vector, float{bits}", largest(h[:, 0], out["cell_emb"]), EXACT[dtype])
    within(f"values, float{bits}", largest(ours.value(h)[real], out["mlm_output"][real]), EXACT[dtype])
    mvc = ours.mvc(h[:, 0], x.genes)[real]
    scale = out["mvc_output"][real].abs().max().clamp(min=1)
    within(f"values from the cell, float{bits}", largest(mvc, out["mvc_output"][real]) / scale, EXACT[dtype])


@pytest.mark.parametrize("dtype", EXACT)
def test_probabilities_and_domains(dtype, within):
    official, ours = (network.to(dtype).train() for network in pair(Size(), zero_prob=True, n_domains=3))
    x = batch(Size()).to(dtype)
    out = official(x.genes, x.values, x.padding, MVC=True)
    h = ours.encode(x.genes, x.values, x.padding)
    actual = {
        "mlm_zero_probs": ours.zero_probability(h),
        "mvc_zero_probs": ours.mvc_with_zero_probability(h[:, 0], x.genes)[1],
        "dab_output": ours.discriminate(h[:, 0])[:, None].expand(-1, x.genes.shape[1], -1),
    }
    out["dab_output"] = out["dab_output"][:, None].expand(-1, x.genes.shape[1], -1)
    for name, value in actual.items():
        difference = largest(value[~x.padding], out[name][~x.padding])
        within(f"zero probabilities, domains, float{torch.finfo(dtype).bits}", difference, EXACT[dtype])


@pytest.mark.parametrize("seed", range(4))
def test_each_loss(seed, within):
    official, ours = pair(Size(), seed, zero_prob=True, n_domains=3)
    x = batch(Size(), seed)
    wanted, actual = official_losses(official, x), our_losses(ours, x)
    assert actual.keys() == wanted.keys()
    for name in wanted:
        within("losses, relative", abs(actual[name] / wanted[name] - 1).item(), 1e-5)


@pytest.mark.parametrize("heads", [{}, {"zero_prob": True}, {"zero_prob": True, "n_domains": 3}], ids=str)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_gradients_of_all_losses(size, heads, within):
    official, ours = pair(size, **heads)
    x = batch(size)
    wanted = gradients(official, sum(official_losses(official, x).values()))
    actual = gradients(ours, sum(our_losses(ours, x).values()))
    assert actual.keys() == ours.state_dict().keys()
    within("gradients, relative", relative(actual, wanted), 1e-5)


def test_the_domains_gradient_is_reversed_for_the_encoder_alone(within):
    """Without the reversal, the encoder gets exactly the opposite gradient."""
    official, ours = pair(Size(), n_domains=3)
    x = batch(Size())
    wanted = gradients(official, official_losses(official, x)["dab"])
    actual = gradients(ours, our_losses(ours, x)["dab"])
    within("gradients, relative", relative(actual, wanted), 1e-5)
    head = ours.grad_reverse_discriminator
    cell = ours.encode(x.genes, x.values, x.padding)[:, 0]
    plain = gradients(ours, torch.nn.functional.cross_entropy(head.out_layer(head._decoder(cell)), x.domain))
    for name, value in plain.items():
        sign = 1 if name.startswith("grad_reverse_discriminator.") else -1
        assert torch.allclose(value, sign * actual[name], rtol=1e-4, atol=1e-7), name


def test_twenty_steps_of_adam(within):
    official, ours = pair(Size(), zero_prob=True, n_domains=3)
    curves = {}
    for name, network, losses in (("official", official, official_losses), ("ours", ours, our_losses)):
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
    difference = (curves["ours"] / curves["official"] - 1).abs().max().item()
    within("loss over 20 Adam steps, relative", difference, 1e-4)


def test_the_size_of_the_released_models(within):
    """51 million parameters, 60,697 tokens, 12 layers of width 512: one cell vector and one gradient."""
    official, ours = pair(PUBLISHED)
    x = batch(PUBLISHED, b=2, t=64)
    wanted = gradients(official, sum(official_losses(official, x).values()))
    actual = gradients(ours, sum(our_losses(ours, x).values()))
    within("gradients at the released size, relative", relative(actual, wanted), 1e-5)
    with torch.no_grad():
        wanted, actual = (f(x.genes, x.values, x.padding) for f in (official.eval()._encode, ours.eval().encode))
    within("token vectors at the released size", largest(actual[~x.padding], wanted[~x.padding]), 1e-5)
