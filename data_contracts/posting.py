"""What a ticket does in the hub: the rules that accept it, the money and stock that follow.

Pure functions. A frame of candidates holds one row for each revision of a ticket to be judged, told
apart by `candidate` (an integer) and naming its `document`; the frame of lines refers to it. Amounts
are ten-thousandths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from data_contracts.amounts import SCALE, show_money
from data_contracts.codes import RmsCodes
from data_contracts.documents import sku_key
from data_contracts.meaning import ticket_kinds
from data_contracts.waiting import (
    WAITING_FOR_ORDER,
    WAITING_FOR_TICKET,
    WAITING_RULES,
    WAITING_TO_ADVANCE,
)

UNKNOWN_KIND = "unknown"
EDITED = "edited"
"""Rule of a document whose edits nobody has released yet."""

PICKED_UP_BEFORE = "picked_up_before"
"""A pick-up that may only repeat one that RMS lost when its database was restored."""
WAIVERS = {
    "unsettled": "books it as it was read, although RMS had not finished writing it",
    "totals_differ": "books the ticket's own total; the difference is recorded as rounding",
    PICKED_UP_BEFORE: "books it besides the pick-up that RMS lost",
}
"""Rules here that a person who has looked may waive -> what that does; the contracts name theirs.

The others say that a movement is not known, and nobody can know it by looking."""
SAME_FACT = {"total_mismatch": "totals_differ", "totals_differ": "total_mismatch"}
"""A rule of the contract and one here that say the same: who waives the one waives the other."""
MOVEMENT = ("document", "line", "warehouse", "sku")
"""What tells the movements of a document apart."""
DELTAS = ("physical", "reserved")
"""What a movement changes: units there, and units held for a layaway or backorder."""


@dataclass(frozen=True)
class Rules:
    """What a store's tickets are judged by."""

    codes: RmsCodes
    tolerance: int
    """Ten-thousandths of money per line that count as rounding."""
    ignore_case: bool = True


class Objection(NamedTuple):
    """Why a revision is not booked."""

    rule: str
    message: str
    fix: str
    waits_for: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it only waits for another document."""
        return self.rule in WAITING_RULES


class VoidTarget(NamedTuple):
    """What the hub knows of the ticket that a void names."""

    kind: str
    accepted: bool
    mirrors: frozenset[str]
    voided_by: str | None = None
    discarded: bool = False


def rounded(exact: int) -> int:
    """Ten-thousandths of an exact product of two amounts, halves away from zero."""
    whole, rest = divmod(abs(exact), SCALE)
    whole += 2 * rest >= SCALE
    return -whole if exact < 0 else whole


def weigh(tickets: pd.DataFrame, lines: pd.DataFrame, tenders: pd.DataFrame, codes: RmsCodes) -> pd.DataFrame:
    """The tickets with what their rows add up to.

    Adds `kind`; `found_lines`, `found_tenders`, `found_units`; `come_to` (what the lines amount to, in
    10^-8); `refundable` and `refunds` (what it sold, what it gives back on the sale it returns); `mirror`
    (hash of total and units per item; of a void, what the ticket it names must have).
    """
    kinds = ticket_kinds(tickets, lines, codes, key="candidate").tolist()
    count = len(tickets)
    at = {candidate: i for i, candidate in enumerate(tickets["candidate"].tolist())}
    with_tax = tickets["prices_include_tax"].tolist()
    found, out, back, units = [0] * count, [0] * count, [0] * count, [0] * count
    items: list[dict[int, int]] = [{} for _ in range(count)]
    columns = ("candidate", "item_id", "quantity", "unit_price", "tax")
    for candidate, item, quantity, price, tax in zip(*(lines[c].tolist() for c in columns), strict=True):
        i = at[candidate]
        gross = quantity * price + (0 if with_tax[i] else tax * SCALE)
        if quantity < 0:
            back[i] += gross
        else:
            out[i] += gross
        found[i] += 1
        units[i] += quantity
        items[i][item] = items[i].get(item, 0) + quantity
    tendered = [0] * count
    for candidate in tenders["candidate"].tolist():
        tendered[at[candidate]] += 1
    totals = tickets["total"].tolist()
    refundable, refunds, mirrors = [0] * count, [0] * count, [""] * count
    for i, (kind, total) in enumerate(zip(kinds, totals, strict=True)):
        if kind == "sale":
            refundable[i] = total
        elif kind == "return":
            refunds[i] = -total
        elif kind == "exchange":
            refundable[i], refunds[i] = rounded(out[i]), -rounded(back[i])
        mirrors[i] = _mirror(total, items[i], -1 if kind == "void" else 1)
    return tickets.assign(
        kind=[kind or UNKNOWN_KIND for kind in kinds],
        found_lines=found,
        found_tenders=tendered,
        found_units=units,
        come_to=pd.Series([a + b for a, b in zip(out, back, strict=True)], index=tickets.index, dtype=object),
        refundable=refundable,
        refunds=refunds,
        mirror=mirrors,
    )


def name_products(
    lines: pd.DataFrame, products: Mapping[str, str], codes: RmsCodes, *, ignore_case: bool
) -> pd.DataFrame:
    """The lines with `product` (the hub's SKU, `` if unknown) and `moves` (whether stock moves).

    `products` maps the compared form of a SKU, UPC or alias to the hub's SKU.
    """
    texts = lines["sku"].tolist()
    known = {text: products.get(sku_key(text, ignore_case=ignore_case), "") for text in set(texts)}
    stocked = ~lines["item_type"].isin(codes.without_stock_item_types)
    return lines.assign(
        product=pd.Series([known[text] for text in texts], index=lines.index, dtype="str"),
        moves=stocked & (lines["quantity"] != 0),
    )


def judge(
    tickets: pd.DataFrame,
    lines: pd.DataFrame,
    rules: Rules,
    waived: Mapping[int, Collection[str]] = MappingProxyType({}),
) -> list[Objection | None]:
    """One objection, or none, for each weighed ticket, in its order; `judge_void` goes on with voids.

    `waived` are rules that a person has waived, by candidate.
    """
    unknown: dict[int, list[str]] = {}
    missing = lines[lines["moves"] & (lines["product"] == "")]
    for candidate, sku in zip(missing["candidate"].tolist(), missing["sku"].tolist(), strict=True):
        skus = unknown.setdefault(candidate, [])
        if sku not in skus:
            skus.append(sku)
    records: list[dict[str, Any]] = tickets.to_dict("records")  # type: ignore[assignment]
    return [
        _judge(
            ticket, unknown.get(ticket["candidate"], []), rules, waivers(waived.get(ticket["candidate"], ()))
        )
        for ticket in records
    ]


def waivers(waived: Collection[str]) -> frozenset[str]:
    """The rules that are waived with these."""
    return frozenset({*waived, *(SAME_FACT[rule] for rule in waived if rule in SAME_FACT)})


def waits_for_release(name: str, document: str) -> Objection:
    """Why a document that is good as it was edited is not booked yet."""
    return Objection(
        EDITED,
        f"{name} was edited; nothing else is wrong with it, but nobody has released it yet.",
        f'release it: `tillbridge quarantine release {document} --why "..."`',
    )


def _judge(
    ticket: dict[str, Any], unknown: Sequence[str], rules: Rules, waived: Collection[str]
) -> Objection | None:
    name = f"Ticket {ticket['number']}"
    if ticket["kind"] == UNKNOWN_KIND:
        return Objection(
            "unknown_recall_type",
            f"{name} has RecallType {ticket['recall_type']}, which no code table explains.",
            f"find out what the till means by it and set it in [stores.{ticket['store']}.codes]",
        )
    if "unsettled" in ticket["flags"].split(";") and "unsettled" not in waived:
        return Objection(
            "unsettled",
            f"{name} was read although RMS had not finished writing it.",
            "look at the ticket in RMS; a later export of the finished ticket clears this",
        )
    for what, said in (("lines", "line_count"), ("tenders", "tender_count"), ("units", "units")):
        if ticket[f"found_{what}"] != ticket[said]:
            return Objection(
                "incomplete",
                f"{name} does not have the {what} that its header tells of.",
                "send the ticket again; a complete revision clears this",
            )
    if unknown:
        named = ", ".join(f"`{sku}`" for sku in unknown[:10]) + (" and more" if len(unknown) > 10 else "")
        return Objection(
            "unknown_sku",
            f"{name} holds SKUs that the hub's catalogue does not know: {named}.",
            "add the products, or aliases for them, to the catalogue; it clears itself then",
        )
    difference = ticket["total"] * SCALE - ticket["come_to"]
    tolerated = rules.tolerance * max(ticket["line_count"], 1) * SCALE
    if abs(difference) > tolerated and "totals_differ" not in waived:
        return Objection(
            "totals_differ",
            f"{name} totals {show_money(ticket['total'])}, its lines come to "
            f"{show_money(rounded(ticket['come_to']))}: more apart than rounding explains.",
            "compare the ticket in RMS; if the store's prices include tax, say so in its settings",
        )
    return None


def pickup_waits(
    ticket: Mapping[str, Any], order: str, kind: str | None, *, discarded: bool = False
) -> Objection:
    """What a good pick-up waits for.

    `kind` is that of its order, None while the hub does not have it; `discarded` if a person has put that
    order aside for good.
    """
    name, number = f"Ticket {ticket['number']}", ticket["recall_id"]
    if discarded:
        return Objection(
            WAITING_FOR_ORDER,
            f"{name} picks up order {number}, which was discarded and will not be applied by itself.",
            f"discard this one too, or release the other: {_by_hand(ticket['document'], order)}",
            order,
        )
    if kind is None:
        return Objection(
            WAITING_FOR_ORDER,
            f"{name} picks up order {number}, which the hub does not have.",
            "nothing to do: it clears itself when the order is in the hub",
            order,
        )
    return Objection(
        WAITING_TO_ADVANCE,
        f"{name} picks up {kind} {number}; advance-{kind}s applies it.",
        f"nothing to do: the next run of advance-{kind}s applies it (`tillbridge advance`)",
        order,
    )


def judge_void(
    ticket: Mapping[str, Any], target: VoidTarget | None, target_document: str, *, is_history: bool
) -> Objection | None:
    """Whether a void may be posted: its target is booked, not yet voided, and mirrored by the void.

    A target from before the baseline (`is_history`) cannot be known; the void is then posted from its own
    lines. `mirrors` holds every revision the hub has seen of the target, so that the answer does not
    depend on the order in which they arrived.
    """
    name, number = f"Ticket {ticket['number']}", ticket["recall_id"]
    if number < 1:
        return Objection(
            "void_of_nothing",
            f"{name} is a void, but names no ticket.",
            "look at the ticket in RMS; a corrected revision clears this, else discard it with a reason",
        )
    if target is None or not target.accepted:
        if is_history and target is None:
            return None
        if target is not None and target.discarded:
            by_hand = _by_hand(ticket["document"], target_document)
            return Objection(
                WAITING_FOR_TICKET,
                f"{name} voids ticket {number}, which was discarded and will not be booked by itself.",
                f"discard this one too, or release the other: {by_hand}",
                target_document,
            )
        return Objection(
            WAITING_FOR_TICKET,
            f"{name} voids ticket {number}, which is not booked in the hub.",
            "nothing to do if that ticket is on its way: this clears itself when it is booked",
            target_document,
        )
    if target.kind == "void":
        return Objection(
            "void_of_void",
            f"{name} voids ticket {number}, which is a void itself.",
            "look at both tickets in RMS and discard this one with a reason",
            target_document,
        )
    if target.voided_by not in (None, ticket["document"]):
        return Objection(
            "already_voided",
            f"{name} voids ticket {number}, which another ticket has voided already.",
            "look at the tickets in RMS and discard this one with a reason",
            target_document,
        )
    if ticket["mirror"] not in target.mirrors:
        return Objection(
            "void_mismatch",
            f"{name} voids ticket {number} but does not mirror it: other items, units or total.",
            "look at both tickets in RMS; a corrected revision of either clears this",
            target_document,
        )
    return None


def _by_hand(this: str, other: str) -> str:
    return f"`tillbridge quarantine discard {this}` or `tillbridge quarantine release {other}`"


def own_movements(tickets: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The stock movements that tickets ask for by their own lines.

    `tickets` has `candidate`, `document`, `kind`, `warehouse`, `warehouse_rule`, `returns_to` and
    `returns_rule`. Columns of the result: MOVEMENT, DELTAS, `rule`.
    """
    columns = ["candidate", "document", "kind", "warehouse", "warehouse_rule", "returns_to", "returns_rule"]
    rows = lines.loc[lines["moves"], ["candidate", "line", "product", "quantity"]].merge(
        tickets[columns], on="candidate"
    )
    # A void turns the ticket around: what comes back with it had left from the store's warehouse.
    leaves = (rows["quantity"] > 0) ^ (rows["kind"] == "void")
    return pd.DataFrame(
        {
            "document": rows["document"],
            "line": rows["line"],
            "warehouse": rows["warehouse"].where(leaves, rows["returns_to"]),
            "sku": rows["product"],
            "physical": -rows["quantity"],
            "reserved": 0,
            "rule": rows["warehouse_rule"].where(leaves, rows["returns_rule"]),
        }
    )


def reversed_movements(targets: pd.DataFrame, voids: Mapping[str, str]) -> pd.DataFrame:
    """The movements of voids: those of the documents they name, turned around where they were posted.

    `targets` has MOVEMENT and DELTAS; `voids` maps a voided document to the void's.
    """
    rows = targets[targets["document"].isin(list(voids))]
    documents = [voids[document] for document in rows["document"].tolist()]
    return pd.DataFrame(
        {
            "document": pd.Series(documents, index=rows.index, dtype="str"),
            "line": rows["line"],
            "warehouse": rows["warehouse"],
            "sku": rows["sku"],
            "physical": -rows["physical"],
            "reserved": -rows["reserved"],
            "rule": pd.Series("as posted", index=rows.index, dtype="str"),
        }
    )


def differences(desired: pd.DataFrame, posted: pd.DataFrame) -> pd.DataFrame:
    """What must be posted so that the ledger shows `desired`: MOVEMENT, DELTAS (one of them not 0), `rule`.

    `desired` and `posted` have MOVEMENT and DELTAS, `desired` also `rule`.
    """
    change = desired
    if not posted.empty:
        turned = posted.assign(**{name: -posted[name] for name in DELTAS}, rule="as posted")
        both = pd.concat([desired, turned], ignore_index=True)
        # The desired row comes first, so its rule is the one that stays.
        groups = both.groupby(list(MOVEMENT), sort=False, as_index=False)
        change = groups.agg({**dict.fromkeys(DELTAS, "sum"), "rule": "first"})
    return change[(change["physical"] != 0) | (change["reserved"] != 0)]


def spread_returns(
    lines: Iterable[tuple[str, int, str, int]], returned: Mapping[tuple[str, str], int]
) -> dict[tuple[str, int], int]:
    """Returned quantity of each line (order, line): what came back of a SKU fills its lines in their order.

    `lines` are (order, line, SKU, quantity) in order; `returned` holds units per (order, SKU). What came
    back beyond what was sold stays on the SKU's last sold line, so that nothing gets lost.
    """
    left = dict(returned)
    filled: dict[tuple[str, int], int] = {}
    last: dict[tuple[str, str], tuple[str, int]] = {}
    for order, line, sku, quantity in lines:
        filled[order, line] = 0
        if quantity > 0:
            part = min(quantity, left.get((order, sku), 0))
            filled[order, line] = part
            if part:
                left[order, sku] -= part
            last[order, sku] = (order, line)
    for key, rest in left.items():
        if rest and key in last:
            filled[last[key]] += rest
    return filled


def in_ranges(number: int, ranges: Collection[tuple[int, int]]) -> bool:
    """Whether a number lies in one of the ranges, both ends included."""
    return any(first <= number <= last for first, last in ranges)


def _mirror(total: int, items: Mapping[int, int], sign: int) -> str:
    parts = [str(sign * total), *(f"{item}:{sign * q}" for item, q in sorted(items.items()) if q)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]
