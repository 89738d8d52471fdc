"""`image_encoder`: any network of timm's reads the tiles, by weights from a file, drawn or downloaded."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from baselines.image_encoder import ImageEncoder
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make
from benchmark.data.prepare import write_corpus
from benchmark.data.tiles import View, cut
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.network_features import open_network
from benchmark.training.budget import Budget
from benchmark.training.watch import Watch
from tests.helpers.arms import config, run

NETWORK, PIXELS = "test_vit", 160  # the smallest vision transformer of timm's
DATA = Simulated(n_donors=2, slides_per_donor=1, shape=(5, 5), n_genes=20)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Drawn weights in a file, with a classification head, which is not read."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(timm.create_model(NETWORK).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(DATA.slides(), tmp_path_factory.mktemp("corpus"), DATA.record())


def fitted(corpus, weights, network=NETWORK, seed=0, **options) -> ImageEncoder:
    open_network.cache_clear()
    method = ImageEncoder(network, str(weights), **options)
    method.check(corpus)
    method.fit(corpus, Budget("flops", 0.0), seed)
    return method


def uncropped(net):
    """timm's own transform of an image for a network."""
    config = timm.data.resolve_model_data_config(net) | {"crop_pct": 1.0}
    return timm.data.create_transform(**config, is_training=False)


def read_by_timm(slide, network, weights) -> np.ndarray:
    """The features by timm's own loader and its own transform of one image after another."""
    net = timm.create_model(network, num_classes=0, pretrained=True, pretrained_cfg_overlay={"file": str(weights)})
    transform = uncropped(net)
    tiles = [transform(Image.fromarray(tile)) for tile in cut(slide, View(112.0, PIXELS))]
    with torch.no_grad():
        return net.eval()(torch.stack(tiles)).numpy()


@pytest.mark.parametrize(("network", "width"), [(NETWORK, 64), ("test_convnext", 64), ("test_resnet", 96)])
def test_features_are_those_that_timm_itself_makes(corpus, tmp_path, network, width):
    """The three name their heads in different ways; `head.norm` of ConvNeXt is none."""
    torch.manual_seed(7)
    save_file(timm.create_model(network).state_dict(), tmp_path / "all.safetensors")
    slide = corpus["donor0_0"]
    found = fitted(corpus, tmp_path / "all.safetensors", network).embed_image(slide)
    assert found.shape == (slide.n_obs, width) and found.dtype == np.float32
    expected = read_by_timm(slide, network, tmp_path / "all.safetensors")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_tiles_of_another_size_are_resized_as_timm_does_it(corpus, weights):
    tiles = cut(corpus["donor0_0"], View(112.0, 200))[:4]
    net = open_network(NETWORK, str(weights))
    transform = uncropped(net.net)
    with torch.no_grad():
        theirs = net.net(torch.stack([transform(Image.fromarray(tile)) for tile in tiles])).numpy()
    np.testing.assert_allclose(net(tiles), theirs, atol=0.02 * theirs.std())  # Pillow rounds to whole numbers between


@pytest.mark.parametrize("safe", [True, False])
def test_weights_may_be_saved_by_torch_or_lie_in_a_folder_of_the_hub(corpus, weights, tmp_path, safe):
    expected = fitted(corpus, weights).encoder.digest
    net = timm.create_model(NETWORK, pretrained=True, pretrained_cfg_overlay={"file": str(weights)})
    save_for_hf(net, tmp_path / "hub", safe_serialization=safe)
    torch.save(net.state_dict(), tmp_path / "vit.pt")
    for path in (tmp_path / "hub", tmp_path / "vit.pt"):
        assert fitted(corpus, path).encoder.digest == expected


def test_a_slide_is_read_once_by_each_encoder_and_costs_the_same_each_time(corpus, weights, monkeypatch):
    slide, once = corpus["donor1_0"], fitted(corpus, weights)
    with Watch() as first:
        expected = once.embed_image(slide)
    again = fitted(corpus, weights)
    assert again.folder == once.folder and again.folder.name == f"{NETWORK}-{again.encoder.digest}"
    with monkeypatch.context() as patch, Watch() as second:
        patch.setattr("benchmark.metrics.network_features.Network.__call__", None)
        np.testing.assert_array_equal(again.embed_image(slide), expected)
    assert first.flops == second.flops > 0
    others = [fitted(corpus, "random", seed=0), fitted(corpus, "random", seed=1), fitted(corpus, weights, microns=90.0)]
    features = [other.embed_image(slide) for other in others]
    assert len({array.tobytes() for array in [expected, *features]}) == 4


def test_flops_are_those_of_pytorchs_counter_with_attention_written_out(corpus, weights):
    slide, method = corpus["donor0_0"], fitted(corpus, weights)
    with Watch() as counted:
        method.embed_image(slide)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        method.encoder.net(torch.zeros(1, 3, PIXELS, PIXELS))
    assert counted.flops == counter.get_total_flops() * slide.n_obs


def test_a_row_states_what_reading_a_spot_costs(corpus, weights, tmp_path):
    task = {"task": "expression_from_image", "options": {"n_genes": 5}}
    entry = {"method": "image_encoder", "options": {"network": NETWORK, "weights": str(weights)}}
    settings = config(methods=[entry], tasks=[task], splits={"donor_folds": 2})
    record = run(settings, corpus, tmp_path, "image_encoder")[0][0]
    assert record["status"] == "ok", record["reason"]
    n_spots = sum(slide.n_obs for slide in corpus)
    assert record["inference"]["spots"] == n_spots and record["inference"]["flops"] % n_spots == 0
    assert record["inference"]["flops"] > 1e7 * n_spots
    assert record["parameters"] == open_network(NETWORK, str(weights)).n_parameters
    assert record["reference"] == "trained elsewhere, not compute-matched"


def test_without_a_network_there_is_nothing_to_judge():
    assert ImageEncoder().not_applicable == "no image encoder"
    assert not ImageEncoder(NETWORK).not_applicable and not ImageEncoder(NETWORK, "random").reference


class Runs:
    def __reduce__(self):
        return eval, ("1",)


def refused(corpus, network, weights) -> str:
    open_network.cache_clear()
    with pytest.raises(UnitBenchError) as error:
        make("methods", "image_encoder", {"network": network, "weights": str(weights)}).check(corpus)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_opened_is_refused_in_one_line(corpus, weights, tmp_path, monkeypatch):
    assert "timm has none of that name; did you mean 'resnet18'?" in refused(corpus, "resnet_18", "random")
    assert "file not found; give a safetensors file" in refused(corpus, NETWORK, tmp_path / "none.safetensors")
    assert refused(corpus, "test_resnet", weights).startswith(
        f"weights of test_resnet ({weights}): Error(s) in loading"
    )
    torch.save({"cls_token": Runs()}, tmp_path / "code.pt")
    assert "give the weights of that network" in refused(corpus, NETWORK, tmp_path / "code.pt")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused(corpus, NETWORK, "pretrained")
    assert said.startswith(f"weights of {NETWORK}: no download (") and said.endswith("or check the connection")
