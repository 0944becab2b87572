"""Rules of documents that are not wrong but wait; kept apart to load no frames."""

from __future__ import annotations

WAITING_FOR_TICKET = "waiting_for_ticket"
"""A void whose ticket is not booked, or an order that says it was picked up by a ticket that is not here."""
WAITING_FOR_ORDER = "waiting_for_order"
"""A pick-up whose order is not here, or only in a state older than the pick-up."""
WAITING_TO_ADVANCE = "waiting_to_advance"
"""A newer snapshot of an order, or a pick-up: the next run of advance-layaways or advance-backorders."""
WAITING_RULES = (WAITING_FOR_TICKET, WAITING_FOR_ORDER, WAITING_TO_ADVANCE)
"""Their documents are pending, and clear themselves."""
