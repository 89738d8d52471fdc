"""The script that measures scoring at a size still measures it."""

from tests.scale import steps


def test_each_step_that_is_asked_for_has_its_line(capfd):
    assert steps.main(1500, ["majority", "maps"]) == 0
    heading, *lines, verdict = capfd.readouterr().out.splitlines()
    assert heading.split() == ["step", "spots", "seconds", "peak,", "GB"]
    assert [line.split()[:2] for line in lines] == [["majority", "1,500"], ["maps", "1,500"]]
    assert verdict == "each step is within 2 GB"
