"""The parameters of the flows: small models that Prefect renders as forms and checks before a run starts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STORE = r"^[A-Za-z0-9_-]{1,20}$"


class Scope(BaseModel):
    """A frozen set of parameters; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportScope(Scope):
    """What `export-orders` reads."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )
    sweep: bool = Field(
        default=False,
        description="Also find changes of old tickets (runs once a day on its own).",
        json_schema_extra={"position": 1},
    )


class StatementScope(Scope):
    """What `publish-statement` covers."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )
    days: int | None = Field(
        default=35,
        ge=1,
        le=3660,
        description="Business days back from the newest one; empty for everything since the baseline.",
        json_schema_extra={"position": 1},
    )


class HubScope(Scope):
    """Which stores `import-orders` and `reconcile` look at."""

    stores: tuple[str, ...] = Field(
        default=(), description="Store codes; empty for all stores of tillbridge.toml."
    )

    @property
    def label(self) -> str:
        """How the run is named: its stores, or `all`."""
        return "-".join(self.stores) or "all"
