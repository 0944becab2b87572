"""How a store's row keeps the epochs of its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from data_contracts.manifest import EpochStart


def read_epochs(text: str) -> tuple[EpochStart, ...]:
    """The epochs as a store's row keeps them; orders had no epochs of their own at first."""
    names = ("epoch", "after_number", "after_order")
    return tuple(EpochStart(**dict(zip(names, entry, strict=False))) for entry in json.loads(text))


def write_epochs(epochs: Iterable[EpochStart]) -> str:
    """The inverse of `read_epochs`."""
    return json.dumps([[e.epoch, e.after_number, e.after_order] for e in epochs])
