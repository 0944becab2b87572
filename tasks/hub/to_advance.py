"""What there is to apply of layaways and backorders; loads no frames, so that an empty run stays cheap."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, or_, select

from data_contracts.documents import ORDER, STREAM_ORDERS
from data_contracts.life_cycle import OPEN_STATES
from data_contracts.waiting import WAITING_RULES
from tasks.hub.database import Hub
from tasks.hub.inbox import utc_now
from tasks.hub.schema import documents, life_cycles, orders, quarantine, stores
from tasks.settings import Settings


def something_to_advance(
    hub: Hub, settings: Settings, store: str, kind: str, *, now: str | None = None
) -> bool:
    """Whether a run would find an order of that kind to look at. Raises `HubUnavailable`."""
    releases = settings.store(store).release_on_expiry
    with hub.reading() as connection:
        zone = connection.execute(select(stores.c.time_zone).where(stores.c.code == store)).scalar()
        if zone is None:
            return False
        today = today_of(now or utc_now(), zone)
        return bool(
            orders_to_advance(connection, store, kind)
            or orders_past_date(connection, store, kind, today, releases)
        )


def today_of(now: str, time_zone: str) -> str:
    """The date in a zone at a UTC time of the hub."""
    return datetime.fromisoformat(now).astimezone(ZoneInfo(time_zone)).date().isoformat()


def orders_to_advance(connection: Connection, store: str, kind: str) -> set[str]:
    """Orders of a kind of which something waits: a snapshot, a pick-up, or a move that was illegal so far."""
    q, d = quarantine.c, documents.c
    waits = q.rule.in_((*WAITING_RULES, "illegal_move"))
    own = select(q.document).join(documents, d.document == q.document)
    own = own.where(d.source == ORDER, q.kind == kind)
    of_tickets = select(q.waits_for).join(documents, d.document == q.waits_for)
    of_tickets = of_tickets.where(d.source == ORDER, d.kind == kind)
    here = (q.store == store, q.stream == STREAM_ORDERS, q.state == "open", waits)
    found = {row[0] for query in (own, of_tickets) for row in connection.execute(query.where(*here))}
    return {name for name in found if name is not None}


def orders_past_date(connection: Connection, store: str, kind: str, today: str, releases: bool) -> set[str]:
    """Open orders whose date has passed since it was looked at last, or whose stock is held otherwise.

    A date before the order itself is none: RMS writes 1900 where nobody set one.
    """
    c, o = life_cycles.c, orders.c
    query = select(c.order_id).join(orders, o.order_id == c.order_id)
    query = query.where(
        c.store == store,
        c.kind == kind,
        c.state.in_([state.value for state in OPEN_STATES]),
        or_(
            c.expired.is_(False) & (c.expires_on < today) & (c.expires_on >= o.business_date),
            c.expired.is_(True) & (c.released.is_not(releases)),
        ),
    )
    return set(connection.execute(query).scalars())
