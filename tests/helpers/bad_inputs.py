"""Slides and descriptions that are refused: what is wrong, how it comes about, and what the line says.

docs/own_data.md has a table of them; `tests/datasets/test_bad_inputs.py` holds the two together.
"""

from tests.helpers.bad_annotations import ANNOTATIONS
from tests.helpers.bad_files import DESCRIPTIONS, FILES
from tests.helpers.bad_spots import SPOTS

BAD = [*FILES, *SPOTS, *ANNOTATIONS, *DESCRIPTIONS]
