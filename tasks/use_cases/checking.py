"""Tests every setting and connection of an installation, and says what to do about each fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from data_contracts.documents import STREAM_ORDERS
from data_contracts.errors import ConfigurationError, TillbridgeError
from tasks.exchange import batches
from tasks.exchange.folder import UNSAFE, open_folder
from tasks.hub.database import open_hub
from tasks.rms import connection as rms_connection
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.rms.item_writing import open_items, try_rights
from tasks.rms.items import headquarters
from tasks.server_versions import server_and_driver
from tasks.settings import Settings
from tasks.use_cases.store_session import open_store

PROBE = "probe.txt"
"""A small file that `check` writes into the exchange folder; it is replaced each time."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was tested."""

    subject: str
    ok: bool
    detail: str
    fix: str = ""


def check_installation(settings: Settings) -> list[CheckResult]:
    """Test the hub, the exchange and each store that has an RMS URL here; never raises for a fault."""
    results = [
        _tested("hub", lambda: _check_hub(settings)),
        _tested("exchange", lambda: _check_exchange(settings)),
    ]
    if not settings.stores:
        results.append(
            CheckResult("stores", False, "No store is configured.", "Add [stores.CODE] to tillbridge.toml.")
        )
    for code, store in sorted(settings.stores.items()):
        if store.rms_url is not None:
            results.append(_tested(f"store {code}, RMS", lambda code=code: _check_rms(settings, code)))  # type: ignore[misc]
        if store.rms_url is not None and store.products is not None:
            results.append(_tested(f"store {code}, items", lambda code=code: _check_items(settings, code)))  # type: ignore[misc]
        results.append(_tested(f"store {code}, position", lambda code=code: _check_position(settings, code)))  # type: ignore[misc]
    return results


def _tested(subject: str, test: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(subject, True, test())
    except TillbridgeError as error:
        return CheckResult(subject, False, error.message, error.next_step)


def _check_hub(settings: Settings) -> str:
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return f"answers, schema fits; {server_and_driver(connection)}"


def _check_exchange(settings: Settings) -> str:
    content = f"written by tillbridge check at {datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}\n".encode()
    url = settings.exchange_url.lower()
    known = {
        "sftp": "its host key is the one pinned, ",
        "ftps": f"its certificate is {'the one pinned' if settings.exchange.certificates else 'trusted'}, ",
        "ftp": "",
    }.get(url.partition("://")[0])
    reached = "" if known is None else f"the server answers, {known}the login is accepted; "
    warning = f"; WARNING: {UNSAFE}" if url.startswith("ftp://") else ""
    with open_folder(settings) as folder:
        # Twice: whether a rename replaces is something that servers differ in.
        folder.replace(PROBE, content[::-1])
        folder.replace(PROBE, content)
        if folder.read(PROBE) != content:
            return f"{reached}another process writes the same probe file at this moment"
    return f"{reached}can be written, read back and renamed{warning}"


def _check_rms(settings: Settings, code: str) -> str:
    with open_store(settings, code) as session:
        bound = read_bound(session.connection)
        highest = reader.highest_ticket(session.connection, session.store_id)
        server = rms_connection.server_and_driver(session.connection)
    return (
        f"answers as StoreID {session.store_id}, tables fit, newest ticket {highest}, "
        f"readable below rowversion {bound}; {server}"
    )


def _check_items(settings: Settings, code: str) -> str:
    with open_items(settings.items_url(code), code) as connection:
        with connection.begin():
            sign = headquarters(connection)
        if sign:
            raise ConfigurationError(
                f"Store `{code}` is under Headquarters ({sign}), which owns its items: no product is "
                "written.",
                next_step=f"bring products in at Headquarters and remove [stores.{code}.products]",
                store=code,
            )
        try_rights(connection)
    return "products can be written; nothing was"


def _check_position(settings: Settings, code: str) -> str:
    with open_folder(settings) as folder:
        head = batches.newest_position(folder, code, STREAM_ORDERS)
    if head is None:
        return f"not baselined yet: run `tillbridge baseline {code}` at the store when it shall go live"
    return f"exported up to batch {head.sequence}, last looked {head.checked_utc or 'never'}"
