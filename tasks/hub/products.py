"""Takes the catalogue into the hub: what a file says anew is written, and nothing else.

A product never loses its SKU, and what a file lacks (columns, products, cells of a name) stays as it is.
The file is held against its contract before anything is locked; if another catalogue comes in meanwhile,
that is done again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Text, insert, select, update

from data_contracts.catalog import (
    FIELDS,
    CatalogRow,
    Codes,
    changed_fields,
    codes_of,
    find_clashes,
    merge,
    new_product,
    till_price,
)
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from data_contracts.manifest import Reason
from tasks import faults
from tasks.hub.bulk import delete_for, load, stage, upsert
from tasks.hub.catalog_file import CatalogFile, read_catalog
from tasks.hub.database import Hub, lock_table
from tasks.hub.events import EventLog
from tasks.hub.inbox import utc_now
from tasks.hub.known_products import catalog_version
from tasks.hub.schema import HUB_STORE, catalogs, product_aliases, products, quarantine, stores
from tasks.settings import Settings

if TYPE_CHECKING:
    from data_contracts.catalog_check import CatalogVerdict

log = logging.getLogger(__name__)

WRITTEN = (*FIELDS, "changed_version", "changed_utc")

faults.declare("hub.catalog.before_commit", "hub.catalog.after_commit")

Check = Callable[..., "CatalogVerdict"]
"""As `catalog_check.check_catalog`."""


@dataclass(frozen=True)
class CatalogOutcome:
    """What a catalogue import did."""

    products: int
    """Rows of the file; each is one of the next four."""
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    """Left out because they fail the contract; all of them, if the file was refused whole."""
    deactivated: int = 0
    """Of the changed ones: no longer active."""
    cleared: int = 0
    """Documents that left quarantine because of it."""
    reasons: tuple[Reason, ...] = ()
    """Why products were left out, in the order of their lines."""
    warnings: tuple[Reason, ...] = ()
    """About products that went in, new or changed."""
    ignored: tuple[str, ...] = ()
    """Columns of the file that nothing was taken from."""
    rejected: bool = False
    """Too much of the file is wrong: nothing of it went in."""
    already: bool = False
    """It is the file that was imported last; it was not looked at again."""
    dry_run: bool = False

    @property
    def to_look_at(self) -> list[tuple[int, Reason]]:
        """(how many, the first of them) of the warnings of each rule; their sentences are much alike."""
        found = Counter(reason.rule for reason in self.warnings)
        first = {reason.rule: reason for reason in reversed(self.warnings)}
        return [(count, first[rule]) for rule, count in found.items()]

    @property
    def moved(self) -> bool:
        """Whether a product is new or has changed."""
        return bool(self.created or self.changed)


@dataclass(frozen=True)
class _Known:
    """The hub's catalogue as it was read."""

    version: int
    digest: str
    products: Mapping[str, Mapping[str, Any]]
    """Compared SKU -> `sku`, `FIELDS` and `aliases`."""


@dataclass(frozen=True)
class _Change:
    """A product that is new or differs from what the hub has."""

    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


@dataclass(frozen=True)
class _Judged:
    """A file held against its contract and the hub."""

    file: CatalogFile
    changes: Sequence[_Change]
    outcome: CatalogOutcome = field(default_factory=lambda: CatalogOutcome(0))


def import_catalog(
    hub: Hub,
    settings: Settings,
    path: str | Path,
    *,
    dry_run: bool = False,
    skip_same: bool = False,
    check: Check | None = None,
    now: str | None = None,
) -> CatalogOutcome:
    """Create and update products from a CSV (`catalog_file`), then judge every store's quarantine again.

    A product that fails the contract is left out, the others go in; the same file again writes nothing.
    With `skip_same` a file that is as it was when one of its name came last is not looked at again.
    `check` takes the place of the contract. Raises `ConfigurationError` for a file that is no table,
    `ContractBroken`, `HubUnavailable`.
    """
    file = read_catalog(Path(path), settings.catalog)
    at = now or utc_now()
    with hub.reading() as connection:
        same = skip_same and file.digest == _newest_digest(connection, file.name)
    if same:
        outcome = CatalogOutcome(len(file.rows), unchanged=len(file.rows), already=True, dry_run=dry_run)
    else:
        outcome = _take(hub, settings, file, check or _contract(), dry_run, at)
    if dry_run or outcome.rejected:
        return outcome
    return replace(outcome, cleared=_recheck(hub, settings, only_open=same, now=now))


def _take(
    hub: Hub, settings: Settings, file: CatalogFile, check: Check, dry_run: bool, at: str
) -> CatalogOutcome:
    while True:
        with hub.reading() as connection:
            known = _read_known(connection, file.name)
            _refuse_other_form(connection, settings, file.rows)
        judged = _judge(known, settings, file, check)
        if dry_run or judged.outcome.rejected:
            return replace(judged.outcome, dry_run=dry_run)
        if not judged.changes and (not known.version or known.digest == file.digest):
            return judged.outcome
        if _write(hub, known, judged, settings.hub.skus_ignore_case, at):
            return judged.outcome
        log.info("another catalogue came in meanwhile; %s is judged again", file.name)


def _contract() -> Check:
    from data_contracts.catalog_check import check_catalog  # pandas and great-expectations

    return check_catalog


# -- judging --------------------------------------------------------------------------------------------
def _judge(known: _Known, settings: Settings, file: CatalogFile, check: Check) -> _Judged:
    ignore_case = settings.hub.skus_ignore_case
    merged: dict[int, tuple[str, Mapping[str, Any]]] = {}
    for row in file.rows:
        key = sku_key(row.sku, ignore_case=ignore_case)
        try:
            merged[row.line] = key, merge(known.products.get(key), row, ignore_case=ignore_case)
        except ValueError:
            continue  # the contract says what is wrong with it
    stored = {key: codes_of(key, product, ignore_case=ignore_case) for key, product in known.products.items()}
    arriving = {line: codes_of(key, after, ignore_case=ignore_case) for line, (key, after) in merged.items()}
    verdict = check(
        file.rows,
        ignore_case=ignore_case,
        clashes=_clashes(known, stored, arriving, file.rows),
        without_price=frozenset(
            line
            for line, (_, product) in merged.items()
            if till_price(product, settings.catalog.till_price) == 0
        ),
    )
    refused = dict(verdict.refused)
    _refuse_clashes(known, stored, arriving, file.rows, refused)
    if verdict.rejected is not None:
        outcome = CatalogOutcome(
            len(file.rows), refused=len(file.rows), reasons=(verdict.rejected,), rejected=True
        )
        return _Judged(file, (), replace(outcome, ignored=file.ignored))
    changes, moved = [], set()
    for row in file.rows:
        if row.line in refused:
            continue
        key, after = merged[row.line]
        before = known.products.get(key)
        if before is None or changed_fields(before, after):
            changes.append(_Change(key, before, after))
            moved.add(row.line)
    created = sum(change.before is None for change in changes)
    return _Judged(
        file,
        sorted(changes, key=lambda change: change.key),
        CatalogOutcome(
            products=len(file.rows),
            created=created,
            changed=len(changes) - created,
            unchanged=len(file.rows) - len(refused) - len(changes),
            refused=len(refused),
            deactivated=sum(
                c.before is not None and bool(c.before["active"]) and not c.after["active"] for c in changes
            ),
            reasons=tuple(reason for line in sorted(refused) for reason in refused[line]),
            warnings=tuple(
                reason
                for line in sorted(verdict.warnings)
                if line in moved
                for reason in verdict.warnings[line]
            ),
            ignored=file.ignored,
        ),
    )


def _clashes(
    known: _Known,
    stored: Mapping[str, Codes],
    arriving: Mapping[int, Codes],
    rows: Sequence[CatalogRow],
) -> dict[int, tuple[str, str]]:
    """Line -> (a code, the SKU that has it), of the rows that claim what another product has."""
    line_of: dict[str, int] = {}
    for line, codes in arriving.items():
        line_of.setdefault(codes.sku, line)  # a SKU that stands twice is refused for that
    sku_of = {arriving[row.line].sku: row.sku for row in rows if row.line in arriving}
    found = find_clashes(stored, {key: arriving[line] for key, line in line_of.items()})
    return {
        line_of[key]: (code, known.products[owner]["sku"] if owner in known.products else sku_of[owner])
        for key, (code, owner) in found.items()
    }


def _refuse_clashes(
    known: _Known,
    stored: Mapping[str, Codes],
    arriving: Mapping[int, Codes],
    rows: Sequence[CatalogRow],
    refused: dict[int, tuple[Reason, ...]],
) -> None:
    """A product that was left out keeps its codes, which another row may have counted on."""
    if not refused:
        return
    coming = {line: codes for line, codes in arriving.items() if line not in refused}
    found = _clashes(known, stored, coming, rows)
    if not found:
        return
    from data_contracts.catalog_check import clash_reason

    by_line = {row.line: row for row in rows}
    for line, (code, owner) in found.items():
        refused[line] = (clash_reason(by_line[line], code, owner),)


# -- reading and writing the hub ------------------------------------------------------------------------
def read_products(connection: Connection, keys: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Compared SKU -> columns of `products` and `aliases`, sorted by their compared form."""
    query = select(products)
    codes = select(product_aliases.c.sku_key, product_aliases.c.alias).order_by(product_aliases.c.alias_key)
    if keys is not None:
        staged = stage(connection, "staged_products", {"key": Text()}, [(key,) for key in sorted(set(keys))])
        query = query.join(staged, staged.c.key == products.c.sku_key)
        codes = codes.join(staged, staged.c.key == product_aliases.c.sku_key)
    aliases: dict[str, list[str]] = {}
    for key, alias in connection.execute(codes):
        aliases.setdefault(key, []).append(alias)
    return {
        row["sku_key"]: {**row, "aliases": tuple(aliases.get(row["sku_key"], ()))}
        for row in connection.execute(query).mappings()
    }


def _read_known(connection: Connection, file: str) -> _Known:
    kept = ("sku", *FIELDS, "aliases")
    found = {
        key: {name: product[name] for name in kept} for key, product in read_products(connection).items()
    }
    return _Known(catalog_version(connection), _newest_digest(connection, file), found)


def _newest_digest(connection: Connection, file: str) -> str:
    """Of the files of that name: one that was imported by hand since is not undone by the scheduled one."""
    mine = select(catalogs.c.digest).where(catalogs.c.file == file)
    return connection.execute(mine.order_by(catalogs.c.version.desc()).limit(1)).scalar_one_or_none() or ""


def _write(hub: Hub, known: _Known, judged: _Judged, ignore_case: bool, at: str) -> bool:
    """Write the changes and tell of them; False if the catalogue is no longer the one that was read."""
    changes, outcome = judged.changes, judged.outcome
    with hub.writing("hub.catalog.before_commit", "hub.catalog.after_commit") as connection:
        lock_table(connection, catalogs)
        if catalog_version(connection) != known.version:
            return False
        if not changes:  # another file that says the same: the next look at it is cheap
            newest = catalogs.c.version == known.version
            named = {"file": judged.file.name, "digest": judged.file.digest}
            connection.execute(update(catalogs).where(newest).values(named))
            return True
        version = known.version + 1
        connection.execute(
            insert(catalogs).values(
                version=version,
                imported_utc=at,
                products=outcome.products,
                file=judged.file.name,
                digest=judged.file.digest,
                created=outcome.created,
                changed=outcome.changed,
                refused=outcome.refused,
            )
        )
        rows = [
            (
                change.key,
                # The SKU as first shown stays: stock stands under it.
                change.after["sku"],
                *(change.after[name] for name in FIELDS),
                version,
                at,
            )
            for change in changes
        ]
        upsert(connection, products, ("sku_key", "sku", *WRITTEN), rows, update=WRITTEN)
        _write_aliases(connection, changes, ignore_case)
        _tell(connection, changes, at)
    log.info(
        "imported catalogue %d: %d new products, %d changed, %d refused",
        version,
        outcome.created,
        outcome.changed,
        outcome.refused,
    )
    return True


def _write_aliases(connection: Connection, changes: Sequence[_Change], ignore_case: bool) -> None:
    moved = [c for c in changes if (c.before or new_product(""))["aliases"] != c.after["aliases"]]
    delete_for(connection, product_aliases, "sku_key", [change.key for change in moved])
    rows = [
        (alias_key, change.key, alias)
        for change in moved
        for alias in change.after["aliases"]
        if (alias_key := sku_key(alias, ignore_case=ignore_case))
    ]
    load(connection, product_aliases, ("alias_key", "sku_key", "alias"), rows)


def _tell(connection: Connection, changes: Sequence[_Change], at: str) -> None:
    held = select(stores.c.code).where(stores.c.code == HUB_STORE).with_for_update()
    connection.execute(held).scalar_one()
    events = EventLog(HUB_STORE, at, None)
    for change in changes:
        sku = change.after["sku"]
        if change.before is None:
            events.add("product_created", sku=sku, active=change.after["active"])
        else:
            events.add("product_changed", sku=sku, fields=changed_fields(change.before, change.after))
    events.write(connection)


def _recheck(hub: Hub, settings: Settings, *, only_open: bool, now: str | None) -> int:
    """Judge the quarantine again, with `only_open` of those stores only that have anything in it."""
    codes = select(stores.c.code).where(stores.c.code != HUB_STORE).order_by(stores.c.code)
    if only_open:
        waits = select(quarantine.c.store).where(quarantine.c.state == "open")
        codes = codes.where(stores.c.code.in_(waits))
    with hub.reading() as connection:
        known = [code for (code,) in connection.execute(codes) if code in settings.stores]
    if not known:
        return 0
    from tasks.hub.importer import recheck_quarantine

    return sum(recheck_quarantine(hub, settings, code, now=now) for code in known)


def _refuse_other_form(connection: Connection, settings: Settings, rows: Sequence[CatalogRow]) -> None:
    """`skus_ignore_case` may not change under a catalogue: stock stands under the SKU's first form."""
    forms = {(sku_key(row.sku, ignore_case=settings.hub.skus_ignore_case), row.sku) for row in rows}
    staged = stage(connection, "staged_skus", {"sku_key": Text(), "sku": Text()}, sorted(forms))
    clash = connection.execute(
        select(products.c.sku)
        .join(staged, staged.c.sku == products.c.sku)
        .where(staged.c.sku_key != products.c.sku_key)
        .order_by(products.c.sku)
        .limit(1)
    ).scalar_one_or_none()
    if clash is not None:
        raise ConfigurationError(
            f"SKU `{clash}` is in the hub by another way of comparing SKUs. Nothing was imported; retrying "
            "cannot clear this.",
            next_step="set `skus_ignore_case` in [hub] of tillbridge.toml back to what it was",
            sku=clash,
        )
