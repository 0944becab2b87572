"""Every error tillbridge raises, by one question: can trying again clear it?

TillbridgeError                     .transient, .context, .next_step
├── TransientError                  trying again may clear it
│   ├── StoreUnavailable            the store's RMS database does not answer
│   ├── HubUnavailable              the hub's database does not answer, or another run holds the store
│   ├── TransferInterrupted         the exchange folder or a transfer failed half-way
│   └── NotYetArrived               an earlier batch or document is not there yet
└── FinalError                      trying again cannot clear it
    ├── ContractBroken              column, type, schema version: stops the batch
    ├── BatchAltered                size, hash, sums, sequence: stops the batch
    ├── CursorWentBack              a restored or replaced RMS database: stops the export
    ├── NotBaselined                the store has no start mark yet, or none that can be read
    ├── SchemaMismatch              a database is older, newer or other than this program expects
    ├── DecisionRefused             what a person asked of the quarantine cannot be done
    ├── ConfigurationError          a setting is missing or wrong
    └── ProductRefused              a till cannot hold a product: answered, stops nothing

A message says what was attempted, on which key, what came back and whether retrying can help;
`next_step` is the one thing to do. No row values, no credentials: `context` holds keys and counts.
"""

from __future__ import annotations

from typing import Any


class TillbridgeError(Exception):
    """Base of all errors raised on purpose. Picklable, so that Prefect can carry it."""

    transient: bool = False

    def __init__(self, message: str, *, next_step: str = "", **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.context = context

    def __str__(self) -> str:
        return f"{self.message} Next: {self.next_step}" if self.next_step else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.next_step, self.context))


def _rebuild(
    kind: type[TillbridgeError], message: str, next_step: str, context: dict[str, Any]
) -> TillbridgeError:
    return kind(message, next_step=next_step, **context)


class TransientError(TillbridgeError):
    """Trying again may clear it."""

    transient = True


class StoreUnavailable(TransientError):
    """The store's RMS database does not answer."""


class HubUnavailable(TransientError):
    """The hub's database does not answer, or another run holds what is needed."""


class TransferInterrupted(TransientError):
    """The exchange folder does not answer, or a transfer stopped half-way."""


class NotYetArrived(TransientError):
    """Something that has to come first is not there yet."""


class FinalError(TillbridgeError):
    """Trying again cannot clear it."""


class ContractBroken(FinalError):
    """A batch does not have the form its contract asks for."""


class BatchAltered(FinalError):
    """A batch is not what its manifest says."""


class CursorWentBack(FinalError):
    """The RMS database is older than, or other than, the one read before."""


class NotBaselined(FinalError):
    """No start mark: nothing says where reading begins."""


class SchemaMismatch(FinalError):
    """A database does not have the tables or the version this program needs."""


class DecisionRefused(FinalError):
    """What a person asked of the quarantine cannot be done."""


class ConfigurationError(FinalError):
    """A setting is missing or wrong."""


class ProductRefused(FinalError):
    """A product that a till cannot hold: answered with its reason, the others go on. `rule` names it."""

    @property
    def rule(self) -> str:
        """The rule that it breaks, for machines."""
        return str(self.context.get("rule", ""))
