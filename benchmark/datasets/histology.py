"""An image like H&E, drawn from simulated cells: purple nuclei on pink; each cell type has its size and colour."""

from __future__ import annotations

import numpy as np

PIXELS = 16  # per spot pitch
BACKGROUND = np.array([236, 190, 212])
RADIUS = 3.5  # of the largest nucleus, in pixels


def draw(cells: np.ndarray, position: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw each cell as a nucleus near its spot.

    Args:
        cells: number of cells of each type, int `[n_spots, n_cell_types]`.
        position: (y, x) in pitches, `[n_spots, 2]`.

    Returns:
        The image, uint8 `[height, width, 3]`, and the spots' (x, y) in it, float32 `[n_spots, 2]`.
    """
    centre = (position + 0.5) * PIXELS
    height, width = np.ceil(centre.max(axis=0) + PIXELS / 2).astype(int)
    image = BACKGROUND + rng.normal(0, 4, size=(height, width, 3))

    n_types = cells.shape[1]
    spot, cell_type = (np.repeat(index, cells[cells > 0]) for index in np.nonzero(cells))
    nucleus = centre[spot] + rng.uniform(-0.5, 0.5, size=(len(spot), 2)) * PIXELS

    radius = np.linspace(1.5, RADIUS, n_types)[cell_type] * rng.normal(1, 0.1, size=len(spot))
    reach = int(np.ceil(RADIUS))
    offset = np.stack(np.mgrid[-reach : reach + 1, -reach : reach + 1], axis=-1).reshape(-1, 2)
    pixel = np.floor(nucleus).astype(int)[:, None] + offset  # [n_cells, n_offsets, 2]
    covered = ((pixel + 0.5 - nucleus[:, None]) ** 2).sum(axis=-1) < radius[:, None] ** 2
    covered &= ((pixel >= 0) & (pixel < [height, width])).all(axis=-1)

    cell = np.nonzero(covered)[0]  # of each covered pixel
    row, column = pixel[covered].T
    tint = _tints(n_types)[cell_type] + rng.normal(0, 6, size=(len(spot), 3))
    image[row, column] = tint[cell]
    return image.clip(0, 255).astype(np.uint8), centre[:, ::-1].astype(np.float32)


def _tints(n_types: int) -> np.ndarray:
    """Colour of the nuclei of each cell type, from pale violet to dark blue-purple, `[n_cell_types, 3]`."""
    pale, dark = np.array([168, 110, 190]), np.array([62, 30, 112])
    share = np.arange(n_types) * 0.618 % 1  # spread out, and in a different order from the sizes
    return pale + share[:, None] * (dark - pale)
