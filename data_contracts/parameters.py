"""The parameters of the flows: small models that Prefect renders as forms and checks before a run starts."""

from __future__ import annotations

import re

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


class StoreScope(Scope):
    """Which store `apply-products` serves."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
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
    """Which stores the hub's flows look at."""

    stores: tuple[str, ...] = Field(
        default=(), description="Store codes; empty for all stores of tillbridge.toml."
    )

    @property
    def label(self) -> str:
        """How the run is named: its stores, or `all`."""
        return "-".join(self.stores) or "all"


class CatalogScope(Scope):
    """What `import-catalog` takes into the hub."""

    file: str = Field(
        default="",
        description="CSV on the hub's machine; a relative path starts at the folder of tillbridge.toml. "
        "Empty: `file` of [catalog].",
        json_schema_extra={"position": 0},
    )
    again: bool = Field(
        default=False,
        description="Also look at the file that was imported last, to see what was refused.",
        json_schema_extra={"position": 1},
    )
    export: bool = Field(
        default=True,
        description="Send what has changed to the stores right after.",
        json_schema_extra={"position": 2},
    )

    @property
    def label(self) -> str:
        """How the run is named: the file's own name."""
        return re.split(r"[/\\]", self.file)[-1] or "catalog"


class ProductScope(HubScope):
    """Which stores `export-products` sends products to."""

    retry: bool = Field(
        default=False,
        description="Send at once what a till has refused, without waiting for its turn.",
    )


class ReceiptScope(Scope):
    """What `receive-stock` takes into the hub's warehouses."""

    file: str = Field(
        min_length=1,
        description="CSV `warehouse,sku,quantity` on the hub's machine; a relative path starts at the folder "
        "of tillbridge.toml.",
        json_schema_extra={"position": 0},
    )
    reference: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="Name of the receipt, such as a delivery note; a name counts once. Empty: made of the "
        "file's content.",
        json_schema_extra={"position": 1},
    )

    @property
    def label(self) -> str:
        """How the run is named: the reference, else the file's own name."""
        return self.reference or re.split(r"[/\\]", self.file)[-1]
