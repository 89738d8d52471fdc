"""Several datasets as one: their slides, donors and groups are called after the dataset that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.core.config import Role
from benchmark.core.contracts import Dataset, offer

if TYPE_CHECKING:
    import anndata as ad

OF_SLIDES = ("donors", "groups")


class Together:
    """The datasets by their short names, and the role of each. Slide `A1` of `her2st` is `her2st.A1`.

    Attributes:
        slide: reads one slide by its name; None where a dataset gives its slides in a row only.
    """

    def __init__(self, parts: Mapping[str, Dataset], roles: Mapping[str, Role]):
        self._parts, self._roles = parts, roles
        all_by_name = all(offer(part, "slide") for part in parts.values())
        self.slide: Callable[[str], ad.AnnData] | None = self._slide if all_by_name else None

    def record(self) -> dict[str, Any]:
        """What they are: `datasets` has the record of each. `roles` and `sets` have the role of each slide, and the own
        name of its dataset, with the short one where two have the same."""
        records = {name: part.record() for name, part in self._parts.items()}
        own = [record["name"] for record in records.values()]
        of_slides: dict[str, dict[str, str]] = {what: {} for what in (*OF_SLIDES, "roles", "sets")}
        for name, record in records.items():
            for slide in record["donors"]:
                called = f"{name}.{slide}"
                for what in OF_SLIDES:
                    of_slides[what][called] = f"{name}.{record[what][slide]}"
                of_slides["roles"][called] = self._roles[name]
                of_slides["sets"][called] = record["name"] + (f".{name}" if own.count(record["name"]) > 1 else "")
        parts = {
            name: {key: value for key, value in record.items() if key not in OF_SLIDES} | {"role": self._roles[name]}
            for name, record in records.items()
        }
        whole = {key: "; ".join(str(r[key]) for r in records.values() if r.get(key)) for key in ("title", "licence")}
        return {"name": "+".join(own), **whole, "datasets": parts, **of_slides}

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides of one dataset after those of another."""
        for name, part in self._parts.items():
            for slide in part.slides():
                yield renamed(slide, name)

    def _slide(self, name: str) -> ad.AnnData:
        part, _, slide = name.partition(".")
        return renamed(offer(self._parts[part], "slide")(slide), part)


def renamed(slide: ad.AnnData, part: str) -> ad.AnnData:
    """The slide, called after its dataset."""
    for what in ("slide", "donor", "group"):
        slide.uns[what] = f"{part}.{slide.uns[what]}"
    return slide
