"""The tables of Microsoft Dynamics RMS (Store Operations), with RMS's own names, types and defaults.

Used to build the select statements and the sample stores; never to create anything in a real RMS. What
tillbridge may select from a real one is `READABLE`: an allow-list without customer, card, comment and
reference columns. Tables with passwords or authorisations are not described here at all.

A table is written as groups of names: `integers("StoreID", "BatchNumber?")`. A `?` marks a NULLable
column; all others are NOT NULL with a neutral default. No foreign keys: RMS declares none, "none" is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    REAL,
    Boolean,
    Column,
    DateTime,
    Float,
    Identity,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Unicode,
    UnicodeText,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects import mssql
from sqlalchemy.types import TypeEngine

from tasks.rms.dialects import ROWVERSION_COLUMN, Money, Rowversion

metadata = MetaData()

Columns = list[Column[Any]]


def _columns(names: Iterable[str], kind: TypeEngine[Any], default: Any) -> Columns:
    return [
        Column(name.rstrip("?"), kind, nullable=True)
        if name.endswith("?")
        else Column(name, kind, nullable=False, server_default=default)
        for name in names
    ]


def integers(*names: str) -> Columns:
    """`int` columns, default 0."""
    return _columns(names, Integer(), text("0"))


def smallints(*names: str) -> Columns:
    """`smallint` columns, default 0."""
    return _columns(names, SmallInteger(), text("0"))


def money(*names: str) -> Columns:
    """`money` columns, default 0."""
    return _columns(names, Money(), text("0"))


def floats(*names: str) -> Columns:
    """`float` columns (doubles), default 0."""
    return _columns(names, Float(53), text("0"))


def reals(*names: str) -> Columns:
    """`real` columns, default 0."""
    return _columns(names, REAL(), text("0"))


def bits(*names: str, default: bool = False) -> Columns:
    """`bit` columns, default 0 unless told."""
    return _columns(names, Boolean(), true() if default else false())


def dates(*names: str) -> Columns:
    """`datetime` columns, local time of whoever wrote them, default now."""
    return _columns(names, DateTime(), func.now())


def texts(length: int, *names: str) -> Columns:
    """`nvarchar(length)` columns, default empty."""
    return _columns(names, Unicode(length), text("''"))


def narrow_texts(length: int, *names: str) -> Columns:
    """`varchar(length)` columns, default empty."""
    return _columns(names, String(length), text("''"))


def long_texts(*names: str) -> Columns:
    """`ntext` columns, default empty."""
    return _columns(names, UnicodeText().with_variant(mssql.NTEXT(), "mssql"), text("''"))


def numbered(first: str, last: int, start: int = 1, digits: int = 1) -> list[str]:
    """`numbered("TaxID", 10, digits=2)` -> TaxID01 .. TaxID10."""
    return [f"{first}{number:0{digits}d}" for number in range(start, last + 1)]


def _table(name: str, *groups: Columns, key: str | None = "ID") -> Table:
    """A table with an identity key in front and DBTimeStamp at the end, and no index beside its key's.

    implicit_returning is off because vendors' triggers stand on real tables: an OUTPUT without INTO
    would raise error 334 there. sqlite_autoincrement: an identity never gives a number twice.
    """
    columns = [column for group in groups for column in group]
    constraints = []
    if key is not None:
        columns.insert(0, Column(key, Integer, Identity(start=1, increment=1), nullable=False))
        constraints.append(PrimaryKeyConstraint(key, name=f"PK_{name}", mssql_clustered=False))
    return Table(
        name,
        metadata,
        *columns,
        Column(ROWVERSION_COLUMN, Rowversion, nullable=True),
        *constraints,
        implicit_returning=False,
        sqlite_autoincrement=key is not None,
    )


# -- goods ------------------------------------------------------------------------------------------
item = _table(
    "Item",
    texts(25, "ItemLookupCode"),
    texts(30, "Description", "SubDescription1", "SubDescription2", "SubDescription3"),
    long_texts("ExtendedDescription", "Content", "Notes?"),
    texts(20, "BinLocation"),
    texts(50, "PictureName"),
    texts(4, "UnitOfMeasure"),
    texts(255, "UsuallyShip"),
    texts(20, "NumberFormat?"),
    texts(30, "BlockSalesReason"),
    integers("HQID", "DepartmentID", "CategoryID", "SubCategoryID", "SupplierID", "TaxID"),
    integers("QuantityDiscountID", "MessageID", "ParentItem", "TagAlongItem", "TenderID", "SaleType"),
    integers("SaleScheduleID", "BlockSalesType", "BlockSalesScheduleID", "SerialNumberCount"),
    integers("CommissionMode"),
    smallints("ItemType", "BarcodeFormat"),
    money("Price", "PriceA", "PriceB", "PriceC", "SalePrice", "PriceLowerBound", "PriceUpperBound", "MSRP"),
    money("Cost", "LastCost", "ReplacementCost", "BuydownPrice", "CommissionAmount", "CommissionMaximum"),
    reals("CommissionPercentProfit", "CommissionPercentSale"),
    floats("Quantity", "QuantityCommitted", "ReorderPoint", "RestockLevel", "ParentQuantity"),
    floats("TagAlongQuantity", "BuydownQuantity", "TareWeight", "TareWeightPercent", "Weight"),
    bits("Taxable", default=True),
    bits("Inactive", "WebItem", "DoNotOrder", "Consignment", "FoodStampable", "ItemNotDiscountable"),
    bits("QuantityEntryNotAllowed", "PriceMustBeEntered", "IsGlobalvoucher", "ItemCannotBeRet?"),
    bits("ItemCannotBeSold?", "IsAutogenerated?", "DeleteZeroBalanceEntry?"),
    dates("DateCreated", "LastUpdated", "LastReceived?", "LastSold?", "LastCounted?", "SaleStartDate?"),
    dates("SaleEndDate?", "BlockSalesAfterDate?", "BlockSalesBeforeDate?"),
)
alias = _table("Alias", integers("ItemID"), texts(25, "Alias"))
department = _table("Department", integers("HQID"), texts(30, "Name"), texts(17, "code"))
category = _table("Category", integers("HQID", "DepartmentID"), texts(30, "Name"), texts(17, "Code"))
supplier = _table(
    "Supplier",
    integers("HQID", "CurrencyID"),
    texts(30, "SupplierName", "ContactName", "Address1", "Address2", "City", "PhoneNumber", "FaxNumber"),
    texts(30, *numbered("CustomText", 5)),
    texts(20, "State", "Zip", "Country", "AccountNumber", "TaxNumber"),
    texts(255, "EmailAddress", "WebPageAddress"),
    texts(17, "Code"),
    texts(50, "Terms"),
    long_texts("Notes"),
    floats(*numbered("CustomNumber", 5)),
    dates(*(f"{name}?" for name in numbered("CustomDate", 5)), "LastUpdated"),
)
supplier_list = _table(
    "SupplierList",
    integers("ItemID", "SupplierID"),
    _columns(["MasterPackQuantity"], Integer(), text("1")),
    money("Cost"),
    texts(25, "ReorderNumber"),
    floats("MinimumOrder", "TaxRate"),
)
inventory_transfer_log = _table(
    "InventoryTransferLog",
    integers("ItemID", "DetailID", "StoreID", "ReferenceID", "ReferenceEntryID", "ReasonCodeID"),
    integers("CashierID", "Type", "BatchNumber"),
    floats("Quantity", "ComputedQuantity?"),
    money("Cost"),
    dates("DateTransferred"),
)

# -- tickets ----------------------------------------------------------------------------------------
transaction = _table(
    "Transaction",
    integers("StoreID", "BatchNumber", "CustomerID", "CashierID", "ShipToID", "Status", "ExchangeID"),
    integers("ChannelType", "RecallID", "RecallType"),
    dates("Time"),
    money("Total", "SalesTax"),
    texts(255, "Comment"),
    texts(50, "ReferenceNumber"),
    key="TransactionNumber",
)
transaction_entry = _table(
    "TransactionEntry",
    integers("StoreID", "TransactionNumber", "ItemID", "SalesRepID", "DetailID", "QuantityDiscountID"),
    integers("ItemType", "VoucherID", "DiscountReasonCodeID", "ReturnReasonCodeID"),
    integers("TaxChangeReasonCodeID"),
    money("Price", "FullPrice", "Cost", "Commission", "SalesTax"),
    floats("Quantity", "ComputedQuantity?"),
    smallints("PriceSource"),
    bits("Taxable", "IsAddMoney"),
    texts(255, "Comment"),
    dates("TransactionTime?"),
)
tender_entry = _table(
    "TenderEntry",
    integers("StoreID", "BatchNumber", "TransactionNumber", "OrderHistoryID", "DropPayoutID", "PaymentID"),
    integers("TenderID", "VisaNetAuthorizationID"),
    texts(30, "Description"),
    money("Amount", "AmountForeign", "RoundingError", "DebitSurcharge", "CashBackSurcharge"),
    bits("IsCreateNew"),
    # Card and account columns: a real RMS has them, nothing ever selects them.
    texts(25, "CreditCardNumber", "BankNumber", "SerialNumber", "License", "TransitNumber"),
    texts(10, "CreditCardExpiration", "State"),
    texts(20, "CreditCardApprovalCode"),
    texts(40, "AccountHolder"),
    dates("BirthDate?"),
)
tender = _table(
    "Tender",
    integers("HQID", "VerificationType", "CurrencyID", "DisplayOrder"),
    smallints("AdditionalDetailType", "ScanCode"),
    texts(25, "Description", "ValidationMask"),
    texts(17, "Code"),
    texts(20, "GLAccount", *numbered("ValidationLine", 3)),
    money("RoundToValue", "MaximumAmount", "DebitSurcharge", "CashBackLimit", "CashBackFee"),
    bits("PreventOverTendering", "VerifyViaEDC", "PrinterValidation", "DoNotPopCashDrawer"),
    bits("SignatureRequired", "AllowMultipleEntries", "SupportCashBack"),
)
tax_entry = _table(
    "TaxEntry",
    integers("StoreID", "TaxID", "TransactionNumber", "TransactionEntryID"),
    money("Tax", "TaxableAmount"),
)
tax = _table(
    "Tax",
    integers("HQID"),
    texts(25, "Description"),
    texts(17, "Code"),
    reals("Percentage"),
    money("FixedAmount", "ItemMaximum", "ItemMinimum"),
    money(*numbered("Bracket", 30, start=0, digits=2), *numbered("BracketValue", 30, digits=2)),
    bits("UsePartialDollar", "IncludePreviousTax", "ApplyOverMinimum"),
)
item_tax = _table(
    "ItemTax",
    integers("HQID", "Options"),
    texts(20, "Description"),
    texts(17, "Code"),
    integers(*numbered("TaxID", 10, digits=2)),
    bits(*numbered("ShowOnReceipt", 10, digits=2)),
)
reason_code = _table(
    "ReasonCode",
    integers("HQID", "Type"),
    texts(25, "Code"),
    texts(50, "Description"),
    dates("StartDate?", "EndDate?"),
)
batch = _table(
    "Batch",
    integers("StoreID", "RegisterID", "CustomerCount", "NoSalesCount", "AbortedTransCount"),
    smallints("Status"),
    dates("OpeningTime?", "ClosingTime?", "LastUpdated"),
    money("OpeningTotal", "ClosingTotal", "Sales", "Returns", "Tax", "SalesPlusTax", "Commission", "PaidOut"),
    money("Dropped", "PaidOnAccount", "PaidToAccount", "TotalTendered", "TotalChange", "Discounts"),
    money("CostOfGoods", "Shipping", "LayawayPaid", "LayawayClosed", "CustomerDepositMade"),
    money("CustomerDepositRedeemed", "TenderRoundingError", "DebitSurcharge", "CashBackSurcharge"),
    money("Vouchers"),
    key="BatchNumber",
)

# -- orders -----------------------------------------------------------------------------------------
order = _table(
    "Order",
    integers("StoreID", "Type", "CustomerID", "ShipToID", "SalesRepID", "ShippingServiceID"),
    integers("ReasonCodeID", "ExchangeID", "ChannelType", "DefaultDiscountReasonCodeID"),
    integers("DefaultReturnReasonCodeID", "DefaultTaxChangeReasonCodeID"),
    bits("Closed", "DepositOverride", "Taxable", "ShippingChargeOverride"),
    dates("Time", "LastUpdated", "ExpirationOrDueDate"),
    money("Deposit", "Tax", "Total", "ShippingChargeOnOrder"),
    texts(255, "Comment", "ShippingTrackingNumber"),
    texts(50, "ReferenceNumber"),
    long_texts("ShippingNotes"),
)
order_entry = _table(
    "OrderEntry",
    integers("StoreID", "OrderID", "ItemID", "SalesRepID", "Taxable", "DetailID", "VoucherID"),
    integers("DiscountReasonCodeID", "ReturnReasonCodeID", "TaxChangeReasonCodeID"),
    money("Price", "FullPrice", "Cost"),
    floats("QuantityOnOrder", "QuantityRTD"),
    smallints("PriceSource"),
    bits("IsAddMoney"),
    texts(30, "Description"),
    texts(255, "Comment"),
    dates("LastUpdated", "TransactionTime?"),
)
order_history = _table(
    "OrderHistory",
    integers("StoreID", "BatchNumber", "OrderID", "CashierID", "TransactionNumber"),
    dates("Date"),
    money("DeltaDeposit"),
    texts(30, "Comment"),
)

# -- the shop itself --------------------------------------------------------------------------------
register = _table(
    "Register",
    integers("StoreID", "CurrentBatchNumber", "ZZBatchNumber", "Receipt1ID", "Receipt2ID"),
    integers("DefaultPriceLevel", "DefaultServiceID", "ChannelID", "KeyboardID", "TransactionHost"),
    smallints("Number"),
    texts(30, "Description"),
)
configuration = _table(
    "Configuration",
    integers("StoreID", "SyncID", "TaxSystem", "TaxBasis", "TaxField", "ItemTaxID", "CostUpdateMethod"),
    integers("DefaultTenderID", "PriceCalculationRule", "Options", "Options2", "Options3", "Options4"),
    integers("AccountDefaultID", "LimitTimeFrame", "LimitType", "VoucherExpirationDays"),
    integers("NextAutoAccountNumber", "AccountingInterface", "DefaultDistributionMethod", "ReceiptCount"),
    integers("ReceiptCount2", "EDCTimeout"),
    smallints("QuoteExpirationDays", "BackOrderExpirationDays", "LayawayExpirationDays"),
    smallints("WorkOrderDueDays", "AccountMonthlyClosingDay"),
    reals("LayawayDeposit"),
    floats("WorkOrderDeposit", "LimitItem"),
    money("LayawayFee", "LimitPurchase"),
    dates("HQCreationDate?", "LastBackupMessage?", "LastUpdated"),
    bits("EnableGlobalCustomers", "DefaultGlobalCustomer", "UseLandedCost"),
    texts(30, "StoreName", "StoreAddress1", "StoreAddress2", "StoreCity"),
    texts(20, "StoreState", "StoreCountry", "VATRegistrationNumber"),
    texts(15, "StoreZip"),
    texts(14, "StorePhone", "StoreFax"),
    texts(255, "StoreEmail"),
    texts(50, "VATDetailID"),
)
store = _table(
    "Store",  # filled by Headquarters only; its account columns are left out
    integers("ID", "ParentStoreID", *numbered("ScheduleHourMask", 7), "ScheduleMinute"),
    integers("RetryCount", "RetryDelay"),
    narrow_texts(50, "Name", "Region", "Address1", "Address2", "City"),
    narrow_texts(30, "StoreCode", "PhoneNumber", "FaxNumber"),
    narrow_texts(20, "State", "Country"),
    narrow_texts(15, "Zip"),
    dates("LastUpdated?"),
    key=None,
)
record_deleted_log = _table(
    "RecordDeletedLog",
    integers("ID", "RecordID", "StoreID"),
    texts(30, "TableName", "IDFieldName"),
    dates("WhenDeleted"),
    key=None,
)
version_history = _table("VersionHistory", texts(10, "Version"), dates("Date"))
customer = _table(
    "Customer",
    texts(20, "AccountNumber", "Title", "State", "Country", "TaxNumber"),
    texts(30, "FirstName", "PhoneNumber", "FaxNumber", *numbered("CustomText", 5)),
    texts(50, "LastName", "Company", "Address", "Address2", "City", "PictureName"),
    texts(15, "Zip"),
    texts(255, "EmailAddress"),
    long_texts("Notes?"),
    integers("AccountTypeID", "StoreID", "HQID", "PrimaryShipToID", "DefaultShippingServiceID"),
    integers("CashierID", "SalesRepID", "TotalVisits"),
    smallints("PriceLevel"),
    reals("CurrentDiscount"),
    floats(*numbered("CustomNumber", 5)),
    money("AccountBalance", "CreditLimit", "TotalSales", "TotalSavings", "LastClosingBalance"),
    bits("GlobalCustomer", "LayawayCustomer", "Employee", "TaxExempt", "LimitPurchase"),
    bits("AssessFinanceCharges"),
    dates("AccountOpened", "LastVisit", "LastUpdated", "LastStartingDate?", "LastClosingDate?"),
    dates(*(f"{name}?" for name in numbered("CustomDate", 5))),
)

# -- what may be read -------------------------------------------------------------------------------
READABLE: dict[str, tuple[str, ...]] = {
    "Item": (
        *("ID", "ItemLookupCode", "Description", "SubDescription1", "SubDescription2", "SubDescription3"),
        *("ExtendedDescription", "BinLocation", "UnitOfMeasure", "HQID", "DepartmentID", "CategoryID"),
        *("SupplierID", "TaxID", "ItemType", "Price", "PriceA", "PriceB", "PriceC", "SalePrice", "MSRP"),
        *("PriceLowerBound", "PriceUpperBound", "Cost", "ReplacementCost", "Quantity", "QuantityCommitted"),
        *("ReorderPoint", "RestockLevel", "Weight", "Taxable", "Inactive", "WebItem", "DateCreated"),
        *("LastUpdated", "LastReceived", "LastSold", "DBTimeStamp"),
    ),
    "Alias": ("ID", "ItemID", "Alias", "DBTimeStamp"),
    "Department": ("ID", "HQID", "Name", "code", "DBTimeStamp"),
    "Category": ("ID", "HQID", "DepartmentID", "Name", "Code", "DBTimeStamp"),
    "Supplier": ("ID", "HQID", "SupplierName", "Code", "DBTimeStamp"),
    "SupplierList": (
        "ID",
        "ItemID",
        "SupplierID",
        "MasterPackQuantity",
        "Cost",
        "ReorderNumber",
        "DBTimeStamp",
    ),
    "InventoryTransferLog": (
        *("ID", "ItemID", "StoreID", "ReferenceID", "ReferenceEntryID", "ReasonCodeID", "Type"),
        *("BatchNumber", "Quantity", "Cost", "DateTransferred", "DBTimeStamp"),
    ),
    "Transaction": (
        *("TransactionNumber", "StoreID", "BatchNumber", "Status", "RecallID", "RecallType", "Time", "Total"),
        *("SalesTax", "DBTimeStamp"),
    ),
    "TransactionEntry": (
        *("ID", "StoreID", "TransactionNumber", "ItemID", "DetailID", "ItemType", "ReturnReasonCodeID"),
        *("Price", "FullPrice", "SalesTax", "Quantity", "PriceSource", "Taxable", "IsAddMoney"),
        *("TransactionTime", "DBTimeStamp"),
    ),
    "TenderEntry": (
        *("ID", "StoreID", "BatchNumber", "TransactionNumber", "OrderHistoryID", "DropPayoutID"),
        *("PaymentID", "TenderID", "Amount", "AmountForeign", "RoundingError", "DBTimeStamp"),
    ),
    "Tender": ("ID", "HQID", "CurrencyID", "Description", "Code", "DBTimeStamp"),
    "TaxEntry": (
        *("ID", "StoreID", "TaxID", "TransactionNumber", "TransactionEntryID", "Tax", "TaxableAmount"),
        "DBTimeStamp",
    ),
    "Tax": ("ID", "HQID", "Description", "Code", "Percentage", "FixedAmount", "DBTimeStamp"),
    "ItemTax": ("ID", "HQID", "Description", "Code", *numbered("TaxID", 10, digits=2), "DBTimeStamp"),
    "ReasonCode": ("ID", "HQID", "Type", "Code", "Description", "StartDate", "EndDate", "DBTimeStamp"),
    "Batch": (
        *("BatchNumber", "StoreID", "RegisterID", "CustomerCount", "Status", "OpeningTime", "ClosingTime"),
        *("OpeningTotal", "ClosingTotal", "Sales", "Returns", "Tax", "SalesPlusTax", "TotalTendered"),
        *("TotalChange", "CustomerDepositMade", "CustomerDepositRedeemed", "LastUpdated", "DBTimeStamp"),
    ),
    "Order": (
        *("ID", "StoreID", "Type", "Closed", "Time", "LastUpdated", "ExpirationOrDueDate", "Deposit", "Tax"),
        *("Total", "ShippingChargeOnOrder", "DBTimeStamp"),
    ),
    "OrderEntry": (
        *("ID", "StoreID", "OrderID", "ItemID", "DetailID", "Price", "FullPrice", "QuantityOnOrder"),
        *("QuantityRTD", "PriceSource", "IsAddMoney", "Description", "LastUpdated", "DBTimeStamp"),
    ),
    "OrderHistory": (
        *(
            "ID",
            "StoreID",
            "BatchNumber",
            "OrderID",
            "TransactionNumber",
            "Date",
            "DeltaDeposit",
            "DBTimeStamp",
        ),
    ),
    "Register": (
        "ID",
        "StoreID",
        "CurrentBatchNumber",
        "ZZBatchNumber",
        "Number",
        "Description",
        "DBTimeStamp",
    ),
    "Configuration": (
        *("ID", "StoreID", "SyncID", "TaxSystem", "TaxBasis", "HQCreationDate", "StoreName"),
        *("LayawayExpirationDays", "BackOrderExpirationDays", "LastUpdated", "DBTimeStamp"),
    ),
    "Store": ("ID", "Name", "StoreCode", "LastUpdated", "DBTimeStamp"),
    "RecordDeletedLog": (
        "ID",
        "RecordID",
        "StoreID",
        "TableName",
        "IDFieldName",
        "WhenDeleted",
        "DBTimeStamp",
    ),
    "VersionHistory": ("ID", "Version", "Date", "DBTimeStamp"),
}
"""table -> the columns tillbridge may select from a real RMS; a table that is missing is never read."""


def readable_columns(table: Table) -> list[Column[Any]]:
    """The allow-listed columns of a table, in their order; KeyError for a table that is never read."""
    return [table.c[name] for name in READABLE[table.name]]
