"""The settings of an installation: `tillbridge.toml` plus the environment for secrets.

Nothing is read at import. A wrong value is named with its place in the file. `${NAME}` inside a text
value is replaced from the environment, so that no secret has to stand in the file; in the user, password
and query of a URL it is percent-encoded, so that it may hold any character.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from data_contracts.amounts import from_decimal
from data_contracts.catalog import COLUMNS, PriceName, Profile, TillRules
from data_contracts.errors import ConfigurationError
from data_contracts.products import Owner
from data_contracts.till_items import TRANSFERABLE, Policy

CONFIG_VARIABLE = "TILLBRIDGE_CONFIG"
DEFAULT_FILE = "tillbridge.toml"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"`{name}` is not a time zone; use a name such as Europe/London") from error
    return name


def _exchange(url: SecretStr) -> SecretStr:
    """An address that is misspelled would pass for a folder, whose name with the password errors show."""
    text = url.get_secret_value()
    if not re.match(r"(?i)(sftp|ftps?)://", text) and re.match(r"\s*[A-Za-z][\w+.-]+:|.*:[^/\\]*@", text):
        raise ValueError("is neither a folder nor an address such as sftp://user@host/folder")
    return url


def _host_key(text: str) -> str:
    fingerprint, line = r"SHA256:[A-Za-z0-9+/]{43}=?", r"(ssh|ecdsa)-[a-z0-9-]+\s+AAAA[A-Za-z0-9+/]+=*"
    if re.search(rf"(^|\s)({fingerprint}|{line})(\s|$)", text) is None:
        raise ValueError(f"`{text}` is not a host key; use `SHA256:...` as `ssh-keygen -lf` prints it")
    return text


def _certificate(text: str) -> str:
    if re.fullmatch(r"(?i)(sha-?256( fingerprint=|:))?([0-9a-f]{2}:?){32}", text.strip()) is None:
        raise ValueError(
            f"`{text}` is not the SHA-256 fingerprint of a certificate; use 64 hexadecimal digits as "
            "`openssl x509 -noout -fingerprint -sha256` prints them"
        )
    return text


def _code(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,20}", name) is None:
        raise ValueError("a code has 1 to 20 letters, digits, `-` or `_`")
    return name


_DEVICES = re.compile(r"CON|PRN|AUX|NUL|(COM|LPT)[0-9]", re.IGNORECASE)
"""Names that Windows keeps for devices: no folder can have them."""


def _column(name: str) -> str:
    if name not in COLUMNS:
        raise ValueError(f"is no column of the catalogue; they are {', '.join(COLUMNS)}")
    return name


Code = Annotated[str, AfterValidator(_code)]
"""A store or warehouse code: it becomes a folder's name."""


Minutes = Annotated[float, Field(ge=0)]
"""A span of time; 0 switches the alert off."""


def _pool(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}", name) is None or name.lower().startswith("prefect"):
        raise ValueError("a work pool has 1 to 80 letters, digits, blanks, `.`, `-` or `_`; not `prefect...`")
    return name


Pool = Annotated[str, AfterValidator(_pool)]
"""Name of a Prefect work pool."""


class Section(BaseModel):
    """A frozen table of the file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HubSettings(Section):
    """[hub]: the master hub's database and how tickets are booked in it."""

    url: SecretStr = SecretStr("sqlite:///hub.db")
    """SQLAlchemy URL: `sqlite:///hub.db` or `postgresql+psycopg://user:${HUB_PASSWORD}@host/db`."""
    company: str = "main"
    """Company that owns stock and orders; part of the channel-warehouse key."""
    default_warehouse: Code = "MAIN"
    """Warehouse that tickets are deducted from where no mapping names another."""
    walk_in_email: str = "RMSWalkinCustomer@Sellercloud.com"
    """The generic customer that owns every ticket."""
    walk_in_name: str = "Walk In Customer"
    """The generic customer's name."""
    tolerance_per_line: Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,4}$")] = "0.01"
    """Difference between a ticket's total and its lines taken as rounding, in money per line."""
    skus_ignore_case: bool = True
    """Whether SKUs compare without regard to case."""

    @property
    def tolerance(self) -> int:
        """`tolerance_per_line` in ten-thousandths."""
        return from_decimal(self.tolerance_per_line)


class ExchangeSettings(Section):
    """[exchange]: the folder through which stores and hub talk."""

    url: Annotated[SecretStr, AfterValidator(_exchange)] = SecretStr("exchange")
    """A folder, or `sftp://user@host/folder` (`ftps`, `ftp`); `/~/folder` starts where the login lands."""
    host_keys: tuple[Annotated[str, AfterValidator(_host_key)], ...] = ()
    """Keys the SFTP server may show, as `ssh-keygen -lf` (`SHA256:...`) or `ssh-keyscan` print them."""
    key_file: Path | None = None
    """Private key to log in with over SFTP; none takes the password in `url`."""
    key_passphrase: SecretStr | None = None
    """Passphrase of `key_file`."""
    certificates: tuple[Annotated[str, AfterValidator(_certificate)], ...] = ()
    """SHA-256 fingerprints of certificates that the FTPS server may show; none: one this machine trusts."""
    ca_file: Path | None = None
    """PEM file of who vouches for the FTPS server, or its certificate; none: whom the system trusts."""
    inbox: Path = Path("inbox")
    """Where the hub keeps fetched batches until they are imported; local, may be deleted at rest."""


class RetentionSettings(Section):
    """[retention]: how long the exchange folder keeps what the hub has taken in; cleaned by the hub."""

    archive_days: int = Field(default=90, ge=0, le=36_500)
    """Age of archived batches that are removed, in days before the stream's newest; 0 keeps all."""
    acks_days: int = Field(default=90, ge=0, le=36_500)
    """The same of acknowledgements."""


class CatalogStoreSettings(Section):
    """[catalog.stores.CODE]: which products a store's till gets."""

    send: bool = True
    """Whether products are sent to the store at all."""
    departments: tuple[str, ...] = ()
    """Codes or names of the departments it sells; none for all."""
    till_price: Annotated[tuple[PriceName, ...], Field(min_length=1)] | None = None
    """Its own choice of price; none takes that of [catalog]."""


class CatalogSettings(Section):
    """[catalog]: products into the hub from a file, and from there to the tills."""

    file: str = ""
    """CSV that the import takes when no other is named; by schedule only where this is set."""
    profile: Profile = "sellercloud"
    """Names of the file's columns; a file with a column `sku` has the hub's own, whatever stands here."""
    columns: dict[Annotated[str, AfterValidator(_column)], str] = {}
    """Column of the hub -> header in the file, where it differs from the profile."""
    till_price: Annotated[tuple[PriceName, ...], Field(min_length=1)] = ("store_price", "price")
    """The hub's prices in their order: the first that is not 0 becomes the till's price."""
    send_kits: bool = False
    """Whether kits are sent; a till sells one as a product of its own."""
    retry_refused_minutes: int = Field(default=60, ge=1)
    """After how long a product that a till refused is sent again; each time twice as long, at most a day."""
    stores: dict[Code, CatalogStoreSettings] = {}
    """Per store."""

    def rules(self, store: str) -> TillRules:
        """How the hub's products become those of a store."""
        own = self.stores.get(store, CatalogStoreSettings())
        return TillRules(own.till_price or self.till_price, self.send_kits, own.departments)

    def sends_to(self, store: str) -> bool:
        """Whether products are sent to a store."""
        return self.stores.get(store, CatalogStoreSettings()).send


class WarehouseSettings(Section):
    """[warehouses.CODE]: a place that holds stock."""

    name: str = ""
    """Name for people; the code where empty."""
    sellable: bool = True
    """Whether its stock counts as available."""


class ChannelWarehouse(Section):
    """[[channel_warehouses]]: company and channel (and store) -> warehouse."""

    company: str = "main"
    """Company of the mapping."""
    channel: str = "RMS"
    """Channel of the mapping."""
    store: Code | None = None
    """Store of the mapping; none means every store of the channel."""
    warehouse: Code
    """Warehouse to deduct from."""


class CodeSettings(Section):
    """[stores.CODE.codes]: RMS codes whose meaning is not certain in every build."""

    recall_fresh: int = 0
    """RecallType of a ticket that was not recalled."""
    recall_return: int = 1
    """RecallType of a ticket recalled for a return."""
    recall_void: int = 3
    """RecallType of a void."""
    recall_order: int = 4
    """RecallType of an order picked up."""
    home_order_types: tuple[int, ...] = (2, 3)
    """Order types that stay in the store: work orders and quotes."""
    backorder_types: tuple[int, ...] = (4,)
    """Order types that are backorders."""
    layaway_types: tuple[int, ...] = (5,)
    """Order types that are layaways."""
    on_order_is_outstanding: bool = True
    """Whether QuantityOnOrder is what is still to be handed over; otherwise all that was ordered."""
    deposit_sign: Literal[1, -1] = 1
    """Sign of DeltaDeposit when a deposit is taken."""
    without_stock_item_types: tuple[int, ...] = (7, 9)
    """Item types that move no stock: non-inventory and vouchers."""


def _owned_field(name: str) -> str:
    if name not in TRANSFERABLE:
        raise ValueError(
            f"is not a field whose owner can be changed; those are {', '.join(sorted(TRANSFERABLE))}"
        )
    return name


class ProductSettings(Section):
    """[stores.CODE.products]: products from the hub are written into this store's RMS; without it, none."""

    rms_url: SecretStr | None = None
    """The store's RMS with a login that may write items; none takes the store's own `rms_url`."""
    owners: dict[Annotated[str, AfterValidator(_owned_field)], Owner] = {}
    """Fields of Item whose owner is another here: `hub`, `create_only` or `store`."""
    tax_code: Annotated[str, Field(max_length=17)] = ""
    """ItemTax.Code of products that name none; empty: allowed only where the shop's own items have none."""
    default_department: Annotated[str, Field(max_length=30)] = ""
    """Code or name of the department of products that name none, or one that may not be created."""
    create_departments: bool = True
    """Whether a department that the till does not have is created."""
    create_categories: bool = True
    """Whether a category that the department does not have is created."""
    create_suppliers: bool = False
    """Whether a supplier that the till does not have is created; otherwise it is left out."""
    item_types: tuple[int, ...] = (0, 7)
    """Item types that may be created: standard and non-inventory."""

    @model_validator(mode="after")
    def _file_together(self) -> Self:
        owner = Policy(store="", owners=self.owners).owner
        if owner("DepartmentID") is not owner("CategoryID"):
            raise ValueError("needs the same owner for DepartmentID and CategoryID, which belong together")
        return self

    def policy(self, store: str) -> Policy:
        """The same, as the mapping takes it."""
        return Policy(store, **self.model_dump(exclude={"rms_url"}))


class PrefectSettings(Section):
    """[prefect]: where the flows run, and who is told when something is wrong."""

    work_pool: Pool = "tillbridge"
    """Work pool whose worker runs the hub's flows, and those of stores that name none."""
    notification_block: Annotated[str, Field(pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$")] = ""
    """Block that alerts are sent by, as `slack-webhook/ops`; without one they only show in the UI."""


class StoreSettings(Section):
    """[stores.CODE]: one shop."""

    rms_url: SecretStr | None = None
    """SQLAlchemy URL of the store's RMS database; needed only where the store's flows run."""
    store_id: int | None = None
    """RMS StoreID to read; none takes the only one in the database."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The store's zone: RMS keeps local times without one."""
    business_date: Literal["calendar", "day_start", "z_batch"] = "calendar"
    """Decides the business date: local date, local date since `day_start`, or the Z batch opening."""
    day_start: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "00:00"
    """Local time at which a business day begins, for `day_start`."""
    prices_include_tax: bool | None = None
    """Whether item prices include tax (VAT); none asks RMS's Configuration.TaxSystem."""
    vat_tax_systems: tuple[int, ...] = (1,)
    """Values of Configuration.TaxSystem that mean VAT."""
    warehouse: Code | None = None
    """Short form of a [[channel_warehouses]] entry for this store."""
    returns_warehouse: Code | None = None
    """Where goods that come back go; none takes the store's own warehouse."""
    number_lookback: int = Field(default=5_000, ge=0)
    """How far below the highest ticket number an ordinary export still looks."""
    settle_minutes: int = Field(default=10, ge=0)
    """How long a ticket that RMS has not finished writing may wait."""
    silent_minutes: Minutes | None = None
    """After how long without an export people are told; none takes that of [alerts]."""
    release_on_expiry: bool = False
    """Whether a layaway or backorder past its date gives its reserved stock back before RMS closes it."""
    work_pool: Pool | None = None
    """Prefect work pool whose worker runs this store's flows; none takes that of [prefect]."""
    codes: CodeSettings = CodeSettings()
    """RMS code tables."""
    products: ProductSettings | None = None
    """Products from the hub into this store's RMS; none: nothing is ever written into it."""


class AlertSettings(Section):
    """[alerts]: after how long people are told; 0 switches an alert off."""

    silent_minutes: Minutes = 60
    """A store has completed no export for so long."""
    overdue_minutes: Minutes = 30
    """Runs are late, and none of their queue has started for so long."""
    blocked_minutes: Minutes = 30
    """A run was cancelled by the concurrency limit, and none of its kind has ended for so long."""
    pending_minutes: Minutes = 15
    """A run is handed to a worker and has not started for so long; it is marked as crashed."""
    unresponsive_minutes: Minutes = 10
    """A run has given no sign of life for so long; it is marked as crashed. Runs give one every 3 minutes."""
    quarantine_hours: Annotated[float, Field(ge=0)] = 24
    """A document has waited in quarantine for so long."""
    repeat_hours: Annotated[float, Field(gt=0)] = 4
    """After how long the same alert is sent again while its cause lasts."""


class Settings(Section):
    """All of `tillbridge.toml`, with paths made absolute."""

    hub: HubSettings = HubSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    retention: RetentionSettings = RetentionSettings()
    catalog: CatalogSettings = CatalogSettings()
    warehouses: dict[Code, WarehouseSettings] = {}
    channel_warehouses: tuple[ChannelWarehouse, ...] = ()
    stores: dict[Code, StoreSettings] = {}
    prefect: PrefectSettings = PrefectSettings()
    alerts: AlertSettings = AlertSettings()
    folder: Path = Path()
    """Folder of the file; relative paths start here. Not a key of the file."""

    def store(self, code: str) -> StoreSettings:
        """The store with that code; `ConfigurationError` names the known ones."""
        found = self.stores.get(code)
        if found is None:
            known = ", ".join(sorted(self.stores)) or "none"
            raise ConfigurationError(
                f"Store `{code}` is not configured; known stores: {known}.",
                next_step=f"add [stores.{code}] to tillbridge.toml or name another store",
                store=code,
            )
        return found

    def chosen_stores(self, codes: Sequence[str] = ()) -> list[str]:
        """These stores, all if none is given; `ConfigurationError` for one that is not configured."""
        return [code for code in (codes or sorted(self.stores)) if self.store(code)]

    def rms_url(self, code: str) -> str:
        """URL of the store's RMS database; `ConfigurationError` if there is none."""
        url = self.store(code).rms_url
        if url is None:
            raise ConfigurationError(
                f"Store `{code}` has no RMS database configured here.",
                next_step=f"set rms_url in [stores.{code}] of tillbridge.toml, or run this at the store",
                store=code,
            )
        return self.database_url(url)

    def items_url(self, code: str) -> str:
        """URL by which items are written into the store's RMS; errors as in `rms_url`."""
        products = self.store(code).products
        if products is None or products.rms_url is None:
            return self.rms_url(code)
        return self.database_url(products.rms_url)

    @property
    def hub_url(self) -> str:
        """URL of the hub's database."""
        return self.database_url(self.hub.url)

    @property
    def exchange_url(self) -> str:
        """The exchange: an absolute folder or a URL with a host."""
        url = self.exchange.url.get_secret_value()
        return url if re.match(r"(?i)(sftp|ftps?)://", url) else str((self.folder / url).resolve())

    @property
    def key_file(self) -> Path | None:
        """The private key for SFTP, as an absolute path."""
        file = self.exchange.key_file
        return (self.folder / file.expanduser()).resolve() if file is not None else None

    @property
    def ca_file(self) -> Path | None:
        """Whom an FTPS server is trusted by, as an absolute path."""
        file = self.exchange.ca_file
        return (self.folder / file.expanduser()).resolve() if file is not None else None

    @property
    def inbox(self) -> Path:
        """Local folder of fetched batches."""
        return (self.folder / self.exchange.inbox).resolve()

    def database_url(self, url: SecretStr) -> str:
        """The URL with an SQLite file's path made absolute."""
        text = url.get_secret_value()
        for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
            if text.startswith(prefix) and ":memory:" not in text:
                return prefix + str((self.folder / text.removeprefix(prefix)).resolve())
        return text

    def work_pool(self, code: str | None) -> str:
        """Work pool of a store's flows, or of the hub's."""
        own = self.store(code).work_pool if code is not None else None
        return own or self.prefect.work_pool

    def mappings(self) -> tuple[ChannelWarehouse, ...]:
        """All channel-warehouse entries, a store's short form among them."""
        short = tuple(
            ChannelWarehouse(company=self.hub.company, store=code, warehouse=store.warehouse)
            for code, store in self.stores.items()
            if store.warehouse is not None
        )
        return self.channel_warehouses + short


def load_settings(path: str | Path | None = None) -> Settings:
    """Read the settings file: `path`, else $TILLBRIDGE_CONFIG, else `tillbridge.toml` here.

    Raises `ConfigurationError` that names file, line and key of what is wrong; never a value.
    """
    file = Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {file.absolute()} cannot be read: {error.strerror}.",
            next_step="write one with `tillbridge init`, or name it with --config or $TILLBRIDGE_CONFIG; a "
            "Prefect worker needs $TILLBRIDGE_HOME, its folder",
            file=str(file),
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The settings file {file} is not UTF-8.", next_step="save it as UTF-8", file=str(file)
        ) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"The settings file {file} is not valid TOML: {error}.",
            next_step="mend that line",
            file=str(file),
        ) from error
    if "folder" in raw:
        raise _wrong(file, text, ("folder",), "is not a setting")
    filled = _fill(raw, file, text, ())
    try:
        settings = Settings.model_validate({**filled, "folder": file.resolve().parent})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = tuple(str(part) for part in first["loc"] if part != "[key]")
        reason = "is not a setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise _wrong(file, text, place, reason) from error
    _check_folders(settings, file, text)
    _check_references(settings, file, text)
    return settings


def _check_folders(settings: Settings, file: Path, text: str) -> None:
    """Every store code names a folder, also on a disk that knows no case and on Windows."""
    taken: dict[str, str] = {}
    for code in settings.stores:
        if _DEVICES.fullmatch(code):
            raise _wrong(file, text, ("stores", code), "is a name that Windows keeps for a device")
        other = taken.setdefault(code.lower(), code)
        if other != code:
            raise _wrong(file, text, ("stores", code), f"differs from `{other}` by upper and lower case only")


def _check_references(settings: Settings, file: Path, text: str) -> None:
    known = {settings.hub.default_warehouse, *settings.warehouses}
    for code, store in settings.stores.items():
        for key in ("warehouse", "returns_warehouse"):
            named = getattr(store, key)
            if named is not None and named not in known:
                raise _wrong(file, text, ("stores", code, key), f"names the unknown warehouse `{named}`")
    for code in settings.catalog.stores:
        if code not in settings.stores:
            raise _wrong(file, text, ("catalog", "stores", code), "is not a store of this file")
    for entry in settings.channel_warehouses:
        if entry.warehouse not in known:
            raise _wrong(
                file,
                text,
                ("channel_warehouses", "warehouse"),
                f"names the unknown warehouse `{entry.warehouse}`",
            )
        if entry.store is not None and entry.store not in settings.stores:
            raise _wrong(
                file, text, ("channel_warehouses", "store"), f"names the unknown store `{entry.store}`"
            )


def _fill(value: Any, file: Path, text: str, place: tuple[str, ...]) -> Any:
    """Replace `${NAME}` from the environment, all the way down."""
    if isinstance(value, dict):
        return {key: _fill(inner, file, text, (*place, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, file, text, place) for inner in value]
    if not isinstance(value, str):
        return value
    query = value.find("?") if "?" in value else len(value)
    host = value.rfind("@", 0, query)

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise _wrong(file, text, place, f"needs the environment variable {name}, which is not set")
        # What a URL's parser decodes; it leaves host and path as they are.
        encoded = "://" in value and (found.start() < host or found.start() > query)
        return quote(os.environ[name], safe="") if encoded else os.environ[name]

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", replace, value)


def _wrong(file: Path, text: str, place: tuple[str, ...], reason: str) -> ConfigurationError:
    line = _line_of(text, place)
    where = f"{file}, line {line}" if line else str(file)
    return ConfigurationError(
        f"{where}: `{'.'.join(place)}` {reason}.",
        next_step="correct it; docs/configuration.md lists every setting",
        file=str(file),
        key=".".join(place),
    )


def _line_of(text: str, place: tuple[str, ...]) -> int:
    """Line on which a key (or the deepest table around it) stands; 0 if not found."""
    table: tuple[str, ...] = ()
    best, depth = 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if found := re.match(r"\[\[?\s*([^\]]+?)\s*\]\]?", stripped):
            table = tuple(part.strip().strip("\"'") for part in found[1].split("."))
            here = table
        elif found := re.match(r"([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            here = (*table, *(part.strip("\"'") for part in found[1].split(".")))
        else:
            continue
        wanted = tuple(part for part in place if not part.isdigit())
        if here == wanted[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best
