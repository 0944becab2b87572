"""Rules of documents that are not wrong but wait for another one; kept apart to load no frames."""

from __future__ import annotations

WAITING_FOR_TICKET = "waiting_for_ticket"
WAITING_FOR_ORDER = "waiting_for_order"
WAITING_RULES = (WAITING_FOR_TICKET, WAITING_FOR_ORDER)
"""Their documents are pending, and clear themselves."""
