"""Maps of large slides: pixels with what most of their spots have, and as many as a page can hold."""

from base64 import b64decode
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.experiment import maps
from benchmark.experiment.maps import NO_MAP, predicted_map, raster
from benchmark.report import maps as page
from benchmark.report.picture import readme_figure
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.leaderboard import leaderboard
from tests.helpers.rows import example_predictions, example_rows

RECORD = {"seen": {"fit": ["donor0_0"], "test": ["donor1_0"]}, "method": "pca", "amount": 0.0}
TASK = SimpleNamespace(requires="embed", key="label", predictions=lambda train, test: test.label[::-1])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = Simulated(n_donors=2, slides_per_donor=1, shape=(30, 30), n_genes=40, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("maps"), data.record())


def drawn(corpus) -> pd.DataFrame:
    return predicted_map(corpus, TASK, RECORD, {name: np.zeros((corpus[name].n_obs, 1)) for name in corpus.names})


def test_a_pixel_has_what_most_of_its_spots_have():
    position = np.array([[0, 0], [1, 1.5], [1.9, 0], [0.5, 2], [5, 0], [5, 1]])
    centre, (label, guess) = raster(
        position, 2, np.array(["a", "b", "b", "c", "b", "a"]), np.array(["x", "x", "y", "y", "y", "y"])
    )
    assert centre.tolist() == [[1, 1], [1, 3], [5, 1]]
    assert label.tolist() == ["b", "c", "a"] and guess.tolist() == ["x", "y", "y"]  # of equals the first, "a"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("abc")), min_size=1), st.integers(1, 9)
)
def test_every_pixel_is_the_mode_of_its_spots(spots, pixel):
    position, word = np.array([spot[:2] for spot in spots], dtype=float), np.array([spot[2] for spot in spots])
    centre, (most,) = raster(position, pixel, word)
    table = pd.DataFrame({"y": position[:, 0] // pixel, "x": position[:, 1] // pixel, "word": word})
    expected = table.groupby(["y", "x"])["word"].agg(lambda words: words.mode()[0])
    assert most.tolist() == expected.tolist()
    assert ((centre / pixel - 0.5).astype(int).tolist()) == [list(map(int, cell)) for cell in expected.index]


def test_a_small_slide_is_drawn_spot_by_spot_and_a_large_one_in_pixels(corpus, monkeypatch):
    spots = drawn(corpus)
    assert len(spots) == corpus["donor1_0"].n_obs and set(spots["pixel"]) == {0}
    assert spots.columns.tolist() == NO_MAP.columns.tolist() and (spots.dtypes[["y", "x"]] == "f4").all()
    monkeypatch.setattr(maps, "MOST_DRAWN", len(spots) - 1)
    monkeypatch.setattr(maps, "MOST_PIXELS", 10)
    pixels = drawn(corpus)
    side = int(np.ceil(np.ptp(spots[["y", "x"]].to_numpy(), axis=0).max() / 10))
    assert set(pixels["pixel"]) == {side} and side > 1 and len(pixels) <= 11**2
    assert not pixels.duplicated(["y", "x"]).any() and set(pixels["label"]) <= set(spots["label"])
    monkeypatch.setattr(maps, "MOST_PIXELS", 1000)
    fine = drawn(corpus)  # a lattice with one spot in a cell: its pixels are the spots
    assert set(fine["pixel"]) == {1} and len(fine) == len(spots)


def test_pixels_are_a_picture_inside_the_page_with_the_colours_of_the_labels(tmp_path):
    predictions = example_predictions().query("slide == 'A1'").dropna(subset="label")
    rows = []
    for _, spots in predictions.groupby(["method", "budget"]):
        centre, (label, guess) = raster(
            spots[["y", "x"]].to_numpy(), 3, *(spots[name].to_numpy(str) for name in ("label", "prediction"))
        )
        rest = spots.iloc[0][["slide", "donor", "method", "budget"]].to_dict()
        columns = rest | {"y": centre[:, 0], "x": centre[:, 1], "label": label, "prediction": guess, "pixel": 3}
        rows.append(pd.DataFrame(columns))
    pixels = pd.concat(rows, ignore_index=True)
    board = leaderboard(example_rows())
    (slide,) = page.slides(pixels, select(board, PRIMARY))
    assert all(not panel["paths"] and len(panel["image"]) < 1000 for panel in slide["panels"])
    n_pixels = len(pixels.drop_duplicates(["y", "x"]))
    assert slide["panels"][0]["note"] == f"{n_pixels} pixels of 3 × 3 pitches: the most frequent label in each"
    assert all(panel["note"].endswith("of the pixels right") for panel in slide["panels"][1:])
    image = Image.open(BytesIO(b64decode(slide["panels"][0]["image"].partition(",")[2]))).convert("RGBA")
    assert list(map(int, slide["box"][2:])) == [side * 3 * page.SCALE for side in image.size]
    palette = page.colours(pixels)
    for row in rows[0].itertuples():
        place = int(row.x // 3 - rows[0]["x"].min() // 3), int(row.y // 3 - rows[0]["y"].min() // 3)
        assert image.getpixel(place) == ImageColor.getcolor(palette[row.label], "RGBA")
    assert readme_figure(board, pixels, tmp_path / "overview.png").stat().st_size > 1000
