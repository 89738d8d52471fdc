"""The script that measures what size costs still measures it, on corpora of a few hundred spots."""

import pytest

from tests.scale import table


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(table, "FLOPS", 2e10)
    monkeypatch.setattr(table, "SECONDS", 0.01)


@pytest.mark.parametrize(("n_slides", "panel", "share"), [(4, 60, 0.3), (1, 400, 0.05)])
def test_every_measurement_is_made(tmp_path, n_slides, panel, share):
    found = table.prepare(tmp_path, n_slides, 400, panel, share)
    assert found["spots"] == 400 * n_slides and found["seconds"] > 0
    assert table.crops(tmp_path, 4, 20)["crops_per_second"] > 0
    if n_slides > 1:
        for side in table.SIDES:
            assert table.train(tmp_path, side)["embedded"] == 400


def test_a_measurement_is_kept(tmp_path, monkeypatch):
    (tmp_path / "known.json").write_text('{"seconds": 1.5}')
    assert table.measured(tmp_path, "known", "prepare") == {"seconds": 1.5}


def test_columns_are_aligned():
    assert table.table([["a", "bcd"], ["10", "2"]]) == " a  bcd\n10    2"
