"""A folder of cells drawn by hand, with its description, for the tests of the readers."""

import numpy as np
import yaml

from benchmark.core.files import sha256

SHARED = {
    "title": "Three cells",
    "folder": "set",
    "url": "https://example.org/set",
    "source": "made here",
    "licence": "none",
    "technology": "drawn",
    "donor": "D1",
    "microns_per_pixel": 0.5,
    "pitch": 10,
}


class Folder:
    """A folder of files and its description. `read(**changes)` reads it anew, with new checksums."""

    def __init__(self, path, kind, about):
        self.path, self.kind, self.about = path / "set", kind, SHARED | about
        self.describe = path / "set.yaml"

    def write(self, name, save):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        save(self.path / name)

    def dataset(self, stain=None, **changes):
        files = {p.relative_to(self.path).as_posix(): sha256(p) for p in self.path.rglob("*.*")}
        self.describe.write_text(yaml.safe_dump(self.about | {"files": files} | changes, sort_keys=False))
        return self.kind(describe=self.describe, stain=stain)

    def read(self, **changes):
        return list(self.dataset(**changes).slides())


def box(x, y, side=4.0):
    """Corners (x, y) of a square, `[5, 2]`; the last repeats the first."""
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]])
