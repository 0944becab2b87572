-- Indexes that make tillbridge's reads of a shop's RMS database shorter. OPTIONAL, the owner's choice: tillbridge
-- never runs this, asks for none of them, and reads the same without. SQL Server 2005 and later, any edition.
--
-- Cost: every ticket and order the till writes also writes these, and each takes about 20 bytes a row: 100 MB for
-- five million ticket lines (mind the size limit of an Express edition). Building them locks the tables for seconds
-- to minutes: when the shop is closed, after a backup. Ask whoever looks after the shop's RMS first.
--
-- Undo: DROP INDEX tillbridge_order_rowversion ON dbo.[Order]; and so on.

SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON;
SET NUMERIC_ROUNDABORT OFF;
GO

-- Every export: orders, their lines and their history that changed since the last one.
CREATE INDEX tillbridge_order_rowversion ON dbo.[Order] (DBTimeStamp) INCLUDE (StoreID, [Type], Closed);
CREATE INDEX tillbridge_order_entry_rowversion ON dbo.OrderEntry (DBTimeStamp) INCLUDE (StoreID, OrderID);
CREATE INDEX tillbridge_order_history_rowversion ON dbo.OrderHistory (DBTimeStamp) INCLUDE (StoreID, OrderID);
GO

-- Every sweep (once a day) and statement (hourly).
CREATE INDEX tillbridge_transaction_rowversion ON dbo.[Transaction] (DBTimeStamp) INCLUDE (StoreID);
CREATE INDEX tillbridge_entry_rowversion ON dbo.TransactionEntry (DBTimeStamp) INCLUDE (StoreID, TransactionNumber);
CREATE INDEX tillbridge_tender_rowversion ON dbo.TenderEntry (DBTimeStamp)
    INCLUDE (StoreID, TransactionNumber, OrderHistoryID);
GO

-- Lines and tenders of a ticket or order by its number, where the shop has no such index yet:
--   EXEC sp_helpindex 'dbo.TransactionEntry';
CREATE INDEX tillbridge_entry_ticket ON dbo.TransactionEntry (TransactionNumber);
CREATE INDEX tillbridge_tender_ticket ON dbo.TenderEntry (TransactionNumber);
CREATE INDEX tillbridge_order_entry_order ON dbo.OrderEntry (OrderID);
CREATE INDEX tillbridge_order_history_order ON dbo.OrderHistory (OrderID);
GO
