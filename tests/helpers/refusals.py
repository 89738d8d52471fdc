"""What lines of refusal say, in tests and in the tables of the documentation."""

import re


def matches(piece: str, text: str) -> bool:
    """Whether the text has the piece; `…` stands for anything."""
    return bool(re.search(".*".join(map(re.escape, piece.split("…"))), text))
