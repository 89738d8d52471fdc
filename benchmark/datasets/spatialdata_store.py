"""The elements of a store of SpatialData: their names, the centres of shapes and masks, images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.image import check_size, rgb
from benchmark.data.labels import text
from benchmark.datasets.tenx import said

REGIONS = ("shapes", "labels")  # the groups whose elements a table may annotate


def find_element(store: Path, groups: Sequence[str], name: str | None, key: str) -> Path:
    """The folder of an element.

    Args:
        groups: where it may be: tables, shapes, labels, images.
        name: None: the only one.
        key: of the description, for messages.

    Raises:
        UnitBenchError: the store has none of this name, or several to choose from.
    """
    there = {path.name: path for group in groups for path in sorted((store / group).glob("[!.]*")) if path.is_dir()}
    if not there:
        has = ", ".join(sorted(path.name for path in store.glob("[!.]*"))) or "nothing"
        remedy = (
            "give a store that SpatialData wrote" if "tables" in groups else f"drop `{key}`, or write the store whole"
        )
        raise UnitBenchError(store, f"no {' or '.join(groups)}; it has {has}", remedy)
    if name is None and len(there) > 1:
        raise UnitBenchError(store, f"{len(there)} {groups[0]}: {', '.join(there)}", f"name one in `{key}`")
    if name is not None and name not in there:
        raise UnitBenchError(store, f"no {name!r} among its {' and '.join(groups)}", nearest(name, there))
    return there[name or next(iter(there))]


def centres(element: Path, system: str) -> pd.DataFrame:
    """The centres (x, y) of the shapes, or of the cells of a mask, by their ids as text, `[n, 2]`.

    Args:
        element: its folder in the store.
        system: the coordinate system of the centres.

    Raises:
        UnitBenchError: the package is not installed, the element is damaged, or it is not in that system.
    """
    from_store = read_element(element, system)
    found = _quietly(element, lambda: _spatialdata().get_centroids(from_store, coordinate_system=system).compute())
    return found[["x", "y"]].set_axis(found.index.map(text))


def read_element(element: Path, system: str) -> Any:
    """An element of the store. Raises UnitBenchError, as `centres`."""
    library, group = _spatialdata(), element.parent.name
    data = _quietly(element, lambda: library.read_zarr(element.parents[1], selection=(group,))[element.name])
    systems = library.transformations.get_transformation(data, get_all=True)
    if system not in systems:
        cause = f"it has no coordinate system {system!r}"
        raise UnitBenchError(element, cause, f"correct `coordinate_system`; {nearest(system, systems)}")
    return data


def read_image(element: Path, system: str, level: int, channel: str | None) -> tuple[np.ndarray, np.ndarray]:
    """A level of an image as uint8 `[h, w, 3]`, and the matrix `[3, 3]` from its pixels (x, y, 1) into the system.

    Args:
        channel: the only one to show.

    Raises:
        UnitBenchError: the package is not installed, the image is damaged or too large, or it is not in that system,
            or it has no such level or channel.
    """
    library, image = _spatialdata(), read_element(element, system)
    levels = [image] if hasattr(image, "dims") and "c" in image.dims else list(library.get_pyramid_levels(image))
    if level >= len(levels):
        raise UnitBenchError(element, f"it has {len(levels)} level(s), and no level {level}", "correct `image.level`")
    image = levels[level].transpose("y", "x", "c")
    channels = [text(name) for name in image.coords["c"].values]
    if channel is not None:
        if channel not in channels:
            raise UnitBenchError(element, f"no channel {channel!r}", nearest(channel, channels))
        image = image[:, :, [channels.index(channel)]]
    elif len(channels) not in (1, 3):
        raise UnitBenchError(
            element, f"it has {len(channels)} channels: {', '.join(channels)}", "name one in `image.channel`"
        )
    check_size(image.shape[1], image.shape[0], element)
    pixels = _quietly(element, lambda: rgb(np.asarray(image.data), element))
    into = library.transformations.get_transformation(levels[level], system)
    return pixels, into.to_affine_matrix(("x", "y"), ("x", "y"))


def _spatialdata() -> Any:
    """The package. Raises UnitBenchError: it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import spatialdata
            import spatialdata.transformations
    except ImportError as error:
        remedy = "install it: python -m pip install -c constraints.txt -e '.[spatialdata]'"
        raise UnitBenchError("dataset 'spatialdata'", f"a package is not installed ({error})", remedy) from None
    return spatialdata


def _quietly(element: Path, read: Any) -> Any:
    """What `read` gives, without the library's warnings; its errors are of many types for a damaged store."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except UnitBenchError:
        raise
    except Exception as error:
        raise UnitBenchError(
            element, f"cannot be read ({said(error)})", "write the store again with spatialdata"
        ) from error
