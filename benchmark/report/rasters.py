"""Maps of slides with very many spots: a picture of pixels, as PNG inside the page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image, ImageColor


def picture(spots: pd.DataFrame, colour: pd.Series, pixel: int) -> str:
    """The address of a PNG that holds its own bytes: one pixel of it for each row, clear where there is none.

    Args:
        spots: y and x, the centres of pixels.
        colour: of each row, as CSS writes it.
        pixel: the side of a pixel, in the unit of y and x.
    """
    column, row = (np.rint((spots[axis] - spots[axis].min()) / pixel).astype(int) for axis in ("x", "y"))
    number, palette = pd.factorize(colour, sort=True)
    index = np.zeros((row.max() + 1, column.max() + 1), dtype=np.uint8)
    index[row, column] = number + 1
    image = Image.fromarray(index).convert("P")
    colours = [(0, 0, 0, 0), *(ImageColor.getcolor(one, "RGBA") for one in palette)]
    image.putpalette([part for one in colours for part in one[:3]])
    file = BytesIO()
    image.save(file, "PNG", optimize=True, transparency=bytes(one[3] for one in colours))
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()
