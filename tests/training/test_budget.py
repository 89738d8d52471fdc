"""The budget: an arm stops as near to its amount as whole steps allow, and fails where that is not near enough."""

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.training.budget import Meter


def test_another_step_is_taken_if_it_ends_nearer_to_the_amount():
    meter = Meter("spots", 100, spots=92)
    assert meter.has_room(15)  # 107 is nearer to 100 than 92
    assert not meter.has_room(17)  # 109 is farther


@pytest.mark.parametrize(("spots", "fails"), [(979, True), (981, False), (1019, False), (1021, True)])
def test_two_percent_are_tolerated(spots, fails):
    meter = Meter("spots", 1000, spots=spots)
    if fails:
        with pytest.raises(UnitBenchError, match="give a larger budget"):
            meter.check()
    else:
        meter.check()
