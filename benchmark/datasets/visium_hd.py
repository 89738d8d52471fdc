"""Visium HD: the square bins of one size of a folder `outs` of Space Ranger."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd
from pydantic import Field

from benchmark.core.errors import UnitBenchError
from benchmark.data.lattice import Lattice, square
from benchmark.datasets.samples import placed
from benchmark.datasets.tenx import find, scale_factor
from benchmark.datasets.visium import Visium, VisiumDescription


class VisiumHDDescription(VisiumDescription):
    """The keys of `visium`, and the size of the bins."""

    technology: ClassVar = "10x Visium HD, square bins"
    bin_size: int = Field(default=8, gt=0, description="Side of a bin in µm: Space Ranger makes 2, 8 and 16.")


class VisiumHD(Visium):
    """Square bins of Visium HD as Space Ranger writes them, described by a short YAML file."""

    kind: ClassVar = VisiumHDDescription

    def place(self, name: str) -> Path:
        """The folder square_<size>um, in `binned_outputs` or in the folder itself.

        Raises:
            UnitBenchError: there is no such folder, or its bins have another size.
        """
        size, folder = self.about.bin_size, super().place(name)
        bins = folder / "binned_outputs" if (folder / "binned_outputs").is_dir() else folder
        if not (inside := bins / f"square_{size:03d}um").is_dir():
            sizes = sorted(int(path.name[7:10]) for path in bins.glob("square_[0-9][0-9][0-9]um"))
            has = f"bins of {', '.join(map(str, sizes))} µm" if sizes else "no folder square_…um"
            remedy = "correct `bin_size`" if sizes else "give the folder `outs` of Space Ranger"
            raise UnitBenchError(bins, f"no bins of {size} µm; it has {has}", remedy)
        scale = find(inside / "spatial", "scalefactors_json.json")
        if (told := scale_factor(scale, "bin_size_um")) != size:
            cause = f"bin_size_um is {told:g}, in a folder of {size} µm"
            raise UnitBenchError(scale, cause, "restore the folder of the run")
        return inside

    def lay(self, spots: pd.DataFrame, where: Path) -> Lattice:
        return placed(square, spots["array_row"], spots["array_col"], self.about.bin_size, where)
