"""What a store does about a batch that the hub could not take in: the next step of many errors."""

from __future__ import annotations

import re

from data_contracts.documents import STREAM_BASELINE, STREAM_ORDERS, STREAM_PRODUCTS, STREAM_STATEMENT

SEND_AGAIN = "have the store send the batch again (`tillbridge resend STORE --batch N` for tickets)"
"""Where the batch is not known by name."""

_PATH = re.compile(r"(?P<store>[^/]+)/(?P<stream>[^/]+)/0*(?P<sequence>[0-9]+)-[0-9a-f]+")


def send_again(path: str) -> str:
    """The next step for a batch by its path: ``run `tillbridge resend S1 --batch 412` at the store``."""
    found = _PATH.fullmatch(path)
    if found is None:
        return SEND_AGAIN
    store = found["store"]
    return {
        STREAM_ORDERS: send_sequence_again(store, int(found["sequence"])),
        STREAM_STATEMENT: f"run `tillbridge statement {store}` at the store",
        STREAM_PRODUCTS: "nothing to do: the next `tillbridge export-products` sends its products again",
        STREAM_BASELINE: "bring the batch back from a backup of the exchange folder",
    }.get(found["stream"], SEND_AGAIN)


def send_sequence_again(store: str, sequence: int) -> str:
    """The next step for a batch of tickets and orders by its sequence."""
    return f"run `tillbridge resend {store} --batch {sequence}` at the store"
