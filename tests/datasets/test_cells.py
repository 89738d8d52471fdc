"""Functions that the readers of cells share: points in polygons, centres, counts and control probes."""

import numpy as np

from benchmark.datasets.cells import count, is_control, mask_centres, polygon_centre, share_inside, within
from tests.helpers.cell_folders import box


def test_points_lie_in_their_polygons():
    rng = np.random.default_rng(0)
    corners = rng.random((30, 2)) * 80
    side = rng.uniform(1, 8, size=30)
    points = rng.random((4000, 2)) * 90
    inside = ((points[:, None] > corners) & (points[:, None] < corners + side[:, None])).all(axis=2)
    expected = np.where(inside.any(axis=1), 29 - inside[:, ::-1].argmax(axis=1), -1)  # the last of several
    polygons = [box(x, y, s) for (x, y), s in zip(corners, side, strict=True)]
    np.testing.assert_array_equal(within(points, polygons), expected)


def test_the_centre_of_a_polygon_is_that_of_its_area():
    triangle = np.array([[7000, -4000], [7006, -4000], [7000, -3997], [7000, -4000]], float)
    np.testing.assert_allclose(polygon_centre(triangle), [7002, -3999])
    np.testing.assert_allclose(polygon_centre(triangle[::-1]), [7002, -3999])


def test_control_probes_counts_centres_and_shares_as_worked_by_hand():
    assert is_control(["NegPrb3", "Blank-7", "Negr1", "C9orf16", "SystemControl1"]).tolist() == [1, 1, 0, 0, 1]
    counts = count([1, 1, 5, 9], ["A", "A", "B", "A"], [1, 5], ["A", "B"])
    assert counts.toarray().tolist() == [[2, 0], [0, 1]]
    ids, centres = mask_centres(np.array([[0, 4, 4], [0, 0, 2]]))
    assert ids.tolist() == [2, 4] and centres.tolist() == [[2.5, 1.5], [2.0, 0.5]]
    labels = np.array([[1, 2]])
    x, y = np.array([0.5, 1.5, 2.5, -0.5]), np.full(4, 0.5)
    assert share_inside(labels, x, y, np.array([1, 1, 2, 1])) == 0.25  # the last two lie off the mask
