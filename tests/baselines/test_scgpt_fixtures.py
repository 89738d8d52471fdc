"""scGPT against the results of the official package, which tests/parity/record.py recorded."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from baselines.scgpt.losses import ecs, masked_mse, zero_nll
from baselines.scgpt.model import ScGPT
from baselines.scgpt.tokens import binned
from tests.helpers.paths import FIXTURES

FOLDER = FIXTURES / "scgpt"
MODELS = ("plain", "all_heads")


class Record:
    """A recorded model, and ours with its weights."""

    def __init__(self, name: str):
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file if not key.startswith("version/")}
        self.heads, self.adam = arrays.pop("heads").item(), arrays.pop("adam")
        for kind in ("weight", "batch", "output", "loss", "gradient"):
            of_kind = {key.removeprefix(f"{kind}/"): arrays[key] for key in arrays if key.startswith(f"{kind}/")}
            setattr(self, kind, of_kind)

    def model(self) -> ScGPT:
        n_tokens, d = self.weight["encoder.embedding.weight"].shape
        d_hid = len(self.weight["transformer_encoder.layers.0.linear1.bias"])
        layers = sum(name.endswith(".norm1.bias") for name in self.weight)
        domains = self.weight.get("grad_reverse_discriminator.out_layer.bias", ())
        heads = {"zero_prob": "zero" in self.loss, "n_domains": len(domains), "generative": False}
        pad = self.batch["genes"][self.batch["padding"]][0].item()
        model = ScGPT(n_tokens, pad, d, self.heads, layers, d_hid, dropout=0.0, **heads)
        model.load_state_dict(self.weight)
        return model

    def outputs(self, model: ScGPT) -> dict[str, torch.Tensor]:
        genes, values, padding = (self.batch[name] for name in ("genes", "values", "padding"))
        h = model.encode(genes, values, padding)
        outputs = {"token": h, "mlm_output": model.value(h), "mvc_output": model.mvc(h[:, 0], genes)}
        if "zero" in self.loss:
            outputs["mlm_zero_probs"] = model.zero_probability(h)
            outputs["mvc_zero_probs"] = model.mvc_with_zero_probability(h[:, 0], genes)[1]
        if "dab" in self.loss:
            outputs["dab_output"] = model.discriminate(h[:, 0])
        return outputs

    def losses(self, model: ScGPT) -> dict[str, torch.Tensor]:
        out, target, hidden = self.outputs(model), self.batch["target"], self.batch["hidden"]
        losses = {
            "mse": masked_mse(out["mlm_output"], target, hidden),
            "mvc": masked_mse(out["mvc_output"], target, hidden),
            "ecs": 10 * ecs(out["token"][:, 0], 0.8),
        }
        if "zero" in self.loss:
            losses["zero"] = zero_nll(out["mlm_zero_probs"], target, hidden)
            losses["mvc_zero"] = zero_nll(out["mvc_zero_probs"], target, hidden)
        if "dab" in self.loss:
            losses["dab"] = cross_entropy(out["dab_output"], self.batch["domain"])
        return losses


@pytest.fixture(params=MODELS)
def record(request):
    return Record(request.param)


def test_outputs_are_the_official_ones(record):
    with torch.no_grad():
        outputs = record.outputs(record.model())
    assert outputs.keys() == record.output.keys()
    real = ~record.batch["padding"]
    for name, wanted in record.output.items():
        output = outputs[name] if name == "dab_output" else outputs[name][real]
        torch.testing.assert_close(output, wanted, rtol=1e-5, atol=1e-5, msg=name)


def test_losses_are_the_official_ones(record):
    losses = record.losses(record.model())
    assert losses.keys() == record.loss.keys()
    for name, wanted in record.loss.items():
        assert losses[name].item() == pytest.approx(wanted.item(), rel=1e-5), name


def test_gradients_are_the_official_ones(record):
    model = record.model()
    sum(record.losses(model).values()).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert gradients.keys() == record.gradient.keys()
    for name, wanted in record.gradient.items():
        assert (gradients[name] - wanted).norm() <= 1e-5 * wanted.norm(), name


def test_losses_over_twenty_steps_of_adam_are_the_official_ones(record):
    model = record.model()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for wanted in record.adam:
        loss = sum(record.losses(model).values())
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert len(record.adam) == 20 and record.adam[-1] < record.adam[0]


def test_bins_are_the_official_ones():
    with np.load(FOLDER / "bins.npz") as file:
        values, draws, wanted = file["values"], file["draws"], file["bins"]
    assert np.array_equal(binned(values, np.ones(values.shape, bool), draws), wanted)
    assert wanted.max() == 50 and not wanted[values == 0].any()


def test_fixtures_name_the_versions_that_made_them_and_are_small():
    files = list(FOLDER.glob("*.npz"))
    assert {file.stem for file in files} == {*MODELS, "bins"}
    assert sum(file.stat().st_size for file in files) < 300_000
    for path in files:
        with np.load(path) as file:
            assert [str(file[f"version/{name}"]) for name in ("scgpt", "torch")] == ["0.2.4", "2.3.1"]
