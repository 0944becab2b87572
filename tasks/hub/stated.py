"""The revisions that a store could already have had when it made a statement, as a query. Reads only."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Subquery, and_, func, or_, select
from sqlalchemy.engine import RowMapping

from data_contracts.documents import ORDER
from tasks.hub.schema import batches, document_revisions, documents


def stated_revisions(statement: RowMapping, source: str) -> Subquery:
    """All revisions below the bound, with `epoch`, `number`, `standing` (state of the document) and `rank`.

    The newest of a document has rank 1. `statement` has `store`, `epoch`, `bound` and `created_utc`.
    """
    r, d = document_revisions.c, documents.c
    rank = func.row_number().over(partition_by=r.document, order_by=(r.sequence.desc(), r.batch_id.desc()))
    return (
        select(document_revisions, d.epoch, d.number, d.state.label("standing"), rank.label("rank"))
        .join(documents, d.document == r.document)
        .join(batches, batches.c.path == r.batch)
        .where(d.store == statement["store"], d.source == source, is_stated(statement, source))
        .subquery()
    )


def is_stated(statement: RowMapping, source: str) -> ColumnElement[bool]:
    """That a revision of a document of the store lies below the bound; for a query of both with its batch.

    Rowversions count within an epoch: what only an older database has published is all below the bound.
    """
    r, epoch = document_revisions.c, statement["epoch"]
    below = or_(r.rowversion < statement["bound"], r.rowversion.is_(None))
    if source == ORDER:
        # A deleted order has no rowversion any more, but its time is that of the export that missed it.
        dated = or_(r.occurred_at <= statement["created_utc"], r.occurred_at.is_(None))
        below = and_(below, or_(r.rowversion.is_(None), r.rowversion > 0, dated))
    return and_(documents.c.epoch <= epoch, or_(batches.c.epoch < epoch, below))
