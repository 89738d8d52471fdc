"""The FLOP/s that a method reports are judged by a matrix product, but not those of a fit that ends at once."""

from types import SimpleNamespace

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.training import resources, spending
from benchmark.training.budget import Budget

PRODUCT = 8e10  # FLOP/s


def check(monkeypatch, flops: float, seconds: float) -> list:
    """Check a fit that reported so much. Returns the kinds of number whose product was timed."""
    asked = []
    monkeypatch.setattr(resources, "matrix_product_rate", lambda kind: asked.append(kind) or PRODUCT)
    budget = Budget("flops", flops)
    budget.meter.report(flops=flops, spots=50, steps=50)
    spending._check("spot", "", budget, SimpleNamespace(flops=0, gradients=False), seconds)
    return asked


@pytest.mark.parametrize("seconds", [1e-6, 6e-5, 1e-3])
def test_a_fit_of_some_microseconds_has_no_rate(monkeypatch, seconds):
    assert len(check(monkeypatch, 1e7, seconds)) == 1


@pytest.mark.parametrize(("flops", "seconds"), [(1e9, 1e-6), (1.3e11, 1.0)])
def test_more_than_the_machine_has_is_refused(monkeypatch, flops, seconds):
    with pytest.raises(UnitBenchError, match="FLOP/s were reported; a product of two"):
        check(monkeypatch, flops, seconds)
