-- _counted_lines
SELECT [OrderEntry].[OrderID], count(*) AS count_1
FROM [OrderEntry]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2 GROUP BY [OrderEntry].[OrderID];

SELECT [OrderEntry].[OrderID], count(*) AS count_1
FROM [OrderEntry]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] IN (?) GROUP BY [OrderEntry].[OrderID];

SELECT [TransactionEntry].[TransactionNumber], count(*) AS count_1
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[TransactionNumber] IN (?) GROUP BY [TransactionEntry].[TransactionNumber];

-- closed_order_numbers
SELECT [Order].[ID]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[Closed] = 1;

SELECT [Order].[ID]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[Closed] = 1 AND [Order].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

-- deletions_logged
SELECT count(*) AS count_1
FROM [RecordDeletedLog]
WHERE [RecordDeletedLog].[StoreID] = :StoreID_1 AND lower([RecordDeletedLog].[TableName]) IN (?) AND [RecordDeletedLog].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [RecordDeletedLog].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8));

-- existing_numbers
SELECT [Transaction].[TransactionNumber]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1;

SELECT [Transaction].[TransactionNumber]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

-- find_changed_orders
SELECT [OrderEntry].[OrderID], max(CAST([OrderEntry].[DBTimeStamp] AS BIGINT)) AS max_1
FROM [OrderEntry]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [OrderEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) GROUP BY [OrderEntry].[OrderID];

SELECT [OrderHistory].[OrderID], max(CAST([OrderHistory].[DBTimeStamp] AS BIGINT)) AS max_1
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [OrderHistory].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) GROUP BY [OrderHistory].[OrderID];

SELECT [OrderHistory].[OrderID], max(CAST([TenderEntry].[DBTimeStamp] AS BIGINT)) AS max_1, min([TenderEntry].[ID]) AS min_1, max([TenderEntry].[ID]) AS max_2
FROM [TenderEntry] JOIN [OrderHistory] ON [TenderEntry].[OrderHistoryID] = [OrderHistory].[ID] AND [TenderEntry].[StoreID] = [OrderHistory].[StoreID]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [TenderEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) AND [TenderEntry].[ID] > :ID_1 AND [TenderEntry].[TransactionNumber] = :TransactionNumber_1 GROUP BY [OrderHistory].[OrderID];

SELECT [Order].[ID], max(CAST([Order].[DBTimeStamp] AS BIGINT)) AS max_1
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [Order].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) GROUP BY [Order].[ID];

-- find_changed_tickets
SELECT [TenderEntry].[TransactionNumber], max(CAST([TenderEntry].[DBTimeStamp] AS BIGINT)) AS max_1, min([TenderEntry].[ID]) AS min_1, max([TenderEntry].[ID]) AS max_2
FROM [TenderEntry]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [TenderEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) AND [TenderEntry].[ID] > :ID_1 AND [TenderEntry].[TransactionNumber] > :TransactionNumber_1 GROUP BY [TenderEntry].[TransactionNumber];

SELECT [TransactionEntry].[TransactionNumber], max(CAST([TransactionEntry].[DBTimeStamp] AS BIGINT)) AS max_1, min([TransactionEntry].[ID]) AS min_1, max([TransactionEntry].[ID]) AS max_2
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [TransactionEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) AND [TransactionEntry].[ID] > :ID_1 AND [TransactionEntry].[TransactionNumber] > :TransactionNumber_1 GROUP BY [TransactionEntry].[TransactionNumber];

SELECT [Transaction].[TransactionNumber], max(CAST([Transaction].[DBTimeStamp] AS BIGINT)) AS max_1, min([Transaction].[TransactionNumber]) AS min_1, max([Transaction].[TransactionNumber]) AS max_2
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [Transaction].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_2 AS BIGINT) AS BINARY(8)) AND [Transaction].[TransactionNumber] > :TransactionNumber_1 AND [Transaction].[TransactionNumber] > :TransactionNumber_2 GROUP BY [Transaction].[TransactionNumber];

-- find_store_id
SELECT DISTINCT [Transaction].[StoreID]
FROM [Transaction]
WHERE [Transaction].[TransactionNumber] > :TransactionNumber_1;

-- has_one_store_s_batches
SELECT DISTINCT [Batch].[StoreID]
FROM [Batch];

-- highest_entry_ids
SELECT max([TenderEntry].[ID]) AS max_1
FROM [TenderEntry]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

SELECT max([TransactionEntry].[ID]) AS max_1
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

-- highest_order_history_id
SELECT max([OrderHistory].[ID]) AS max_1
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

-- highest_ticket
SELECT max([Transaction].[TransactionNumber]) AS max_1
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1;

-- holds_one_store
SELECT DISTINCT [Configuration].[StoreID]
FROM [Configuration];

SELECT DISTINCT [Transaction].[StoreID]
FROM [Transaction];

-- newest_counted
SELECT max([Transaction].[Time]) AS max_1
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8))) AND [Transaction].[Time] < :Time_1;

SELECT max(coalesce([Batch].[OpeningTime], [Transaction].[Time])) AS max_1
FROM [Transaction] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [Transaction].[BatchNumber]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8))) AND coalesce([Batch].[OpeningTime], [Transaction].[Time]) < :coalesce_1;

-- numbers_counted_since
SELECT [Transaction].[TransactionNumber]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)));

SELECT [Transaction].[TransactionNumber]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8))) AND [Transaction].[Time] >= :Time_1;

SELECT [Transaction].[TransactionNumber]
FROM [Transaction] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [Transaction].[BatchNumber]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)));

SELECT [Transaction].[TransactionNumber]
FROM [Transaction] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [Transaction].[BatchNumber]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8))) AND coalesce([Batch].[OpeningTime], [Transaction].[Time]) >= :coalesce_1;

-- numbers_since
SELECT [Transaction].[TransactionNumber], CAST([Transaction].[DBTimeStamp] AS BIGINT) AS anon_1
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND ([Transaction].[TransactionNumber] > :TransactionNumber_1 OR [Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)));

-- open_order_numbers
SELECT [Order].[ID]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[Closed] = 0 AND ([Order].[Type] NOT IN (?));

-- order_types
SELECT [Order].[ID], [Order].[Type]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] BETWEEN :ID_1 AND :ID_2;

SELECT [Order].[ID], [Order].[Type]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] IN (?);

-- prices_include_tax
SELECT max([Configuration].[TaxSystem]) AS max_1
FROM [Configuration];

-- recalled_orders
SELECT [Transaction].[TransactionNumber], [Transaction].[RecallID]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[RecallType] = :RecallType_1 AND [Transaction].[TransactionNumber] IN (?);

-- stock_on_hand
SELECT [Item].[ItemLookupCode], [Item].[ItemType], CASE WHEN ABS([Item].[Quantity]) < 1E10 THEN CAST(CAST(ROUND([Item].[Quantity], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS anon_1
FROM [Item]
WHERE ([Item].[ItemType] NOT IN (?)) ORDER BY [Item].[ItemLookupCode], [Item].[ID];

-- ticket_of_line
SELECT [TransactionEntry].[TransactionNumber]
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[ID] = :ID_1;

-- ticket_time
SELECT [Transaction].[Time]
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[TransactionNumber] = :TransactionNumber_1;

-- types_of_orders_between
SELECT [Order].[ID], [Order].[Type]
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] BETWEEN :ID_1 AND :ID_2;

-- written_since
SELECT count(*) AS count_1
FROM [Item]
WHERE [Item].[DBTimeStamp] >= CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

SELECT count(*) AS count_1
FROM [TransactionEntry]
WHERE [TransactionEntry].[DBTimeStamp] >= CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

SELECT count(*) AS count_1
FROM [Transaction]
WHERE [Transaction].[DBTimeStamp] >= CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));
