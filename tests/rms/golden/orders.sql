-- read_orders
SELECT [OrderEntry].[OrderID] AS number, CAST([OrderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderEntry]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2;

SELECT [OrderEntry].[OrderID] AS number, CAST([OrderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderEntry]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] IN (?);

SELECT [OrderEntry].[OrderID] AS number, [OrderEntry].[ID] AS entry_id, [OrderEntry].[ItemID] AS item_id, coalesce([Item].[ItemLookupCode], :coalesce_1) AS sku, coalesce([Item].[Description], :coalesce_2) AS description, coalesce([Item].[ItemType], :coalesce_3) AS item_type, CASE WHEN ABS([OrderEntry].[QuantityOnOrder]) < 1E10 THEN CAST(CAST(ROUND([OrderEntry].[QuantityOnOrder], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS on_order, CASE WHEN ABS([OrderEntry].[QuantityRTD]) < 1E10 THEN CAST(CAST(ROUND([OrderEntry].[QuantityRTD], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS taken, CAST(CAST([OrderEntry].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS unit_price, CAST([OrderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderEntry] LEFT OUTER JOIN [Item] ON [OrderEntry].[ItemID] = [Item].[ID]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2 ORDER BY [OrderEntry].[OrderID], [OrderEntry].[ID];

SELECT [OrderEntry].[OrderID] AS number, [OrderEntry].[ID] AS entry_id, [OrderEntry].[ItemID] AS item_id, coalesce([Item].[ItemLookupCode], :coalesce_1) AS sku, coalesce([Item].[Description], :coalesce_2) AS description, coalesce([Item].[ItemType], :coalesce_3) AS item_type, CASE WHEN ABS([OrderEntry].[QuantityOnOrder]) < 1E10 THEN CAST(CAST(ROUND([OrderEntry].[QuantityOnOrder], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS on_order, CASE WHEN ABS([OrderEntry].[QuantityRTD]) < 1E10 THEN CAST(CAST(ROUND([OrderEntry].[QuantityRTD], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS taken, CAST(CAST([OrderEntry].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS unit_price, CAST([OrderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderEntry] LEFT OUTER JOIN [Item] ON [OrderEntry].[ItemID] = [Item].[ID]
WHERE [OrderEntry].[StoreID] = :StoreID_1 AND [OrderEntry].[OrderID] IN (?) ORDER BY [OrderEntry].[OrderID], [OrderEntry].[ID];

SELECT [OrderHistory].[OrderID] AS number, CAST([OrderHistory].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2;

SELECT [OrderHistory].[OrderID] AS number, CAST([OrderHistory].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] IN (?);

SELECT [OrderHistory].[OrderID] AS number, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] JOIN [TenderEntry] ON [TenderEntry].[OrderHistoryID] = [OrderHistory].[ID] AND [TenderEntry].[StoreID] = [OrderHistory].[StoreID] AND [TenderEntry].[TransactionNumber] = :TransactionNumber_1
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2;

SELECT [OrderHistory].[OrderID] AS number, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] JOIN [TenderEntry] ON [TenderEntry].[OrderHistoryID] = [OrderHistory].[ID] AND [TenderEntry].[StoreID] = [OrderHistory].[StoreID] AND [TenderEntry].[TransactionNumber] = :TransactionNumber_1
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] IN (?);

SELECT [OrderHistory].[OrderID] AS number, [OrderHistory].[ID] AS entry_id, [OrderHistory].[TransactionNumber] AS transaction_number, [OrderHistory].[Date] AS time, [OrderHistory].[BatchNumber] AS z_batch, [Batch].[OpeningTime] AS opening, CAST(CAST([OrderHistory].[DeltaDeposit] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS delta_deposit, CAST([OrderHistory].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [OrderHistory].[BatchNumber]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2 ORDER BY [OrderHistory].[OrderID], [OrderHistory].[ID];

SELECT [OrderHistory].[OrderID] AS number, [OrderHistory].[ID] AS entry_id, [OrderHistory].[TransactionNumber] AS transaction_number, [OrderHistory].[Date] AS time, [OrderHistory].[BatchNumber] AS z_batch, [Batch].[OpeningTime] AS opening, CAST(CAST([OrderHistory].[DeltaDeposit] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS delta_deposit, CAST([OrderHistory].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [OrderHistory].[BatchNumber]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] IN (?) ORDER BY [OrderHistory].[OrderID], [OrderHistory].[ID];

SELECT [OrderHistory].[OrderID] AS number, [TenderEntry].[ID] AS entry_id, [TenderEntry].[OrderHistoryID] AS history_id, [TenderEntry].[TenderID] AS tender_id, coalesce([Tender].[Code], :coalesce_1) AS code, coalesce([Tender].[Description], :coalesce_2) AS name, CAST(CAST([TenderEntry].[Amount] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS amount, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] JOIN [TenderEntry] ON [TenderEntry].[OrderHistoryID] = [OrderHistory].[ID] AND [TenderEntry].[StoreID] = [OrderHistory].[StoreID] AND [TenderEntry].[TransactionNumber] = :TransactionNumber_1 LEFT OUTER JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] BETWEEN :OrderID_1 AND :OrderID_2 ORDER BY [OrderHistory].[OrderID], [TenderEntry].[ID];

SELECT [OrderHistory].[OrderID] AS number, [TenderEntry].[ID] AS entry_id, [TenderEntry].[OrderHistoryID] AS history_id, [TenderEntry].[TenderID] AS tender_id, coalesce([Tender].[Code], :coalesce_1) AS code, coalesce([Tender].[Description], :coalesce_2) AS name, CAST(CAST([TenderEntry].[Amount] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS amount, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [OrderHistory] JOIN [TenderEntry] ON [TenderEntry].[OrderHistoryID] = [OrderHistory].[ID] AND [TenderEntry].[StoreID] = [OrderHistory].[StoreID] AND [TenderEntry].[TransactionNumber] = :TransactionNumber_1 LEFT OUTER JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[OrderID] IN (?) ORDER BY [OrderHistory].[OrderID], [TenderEntry].[ID];

SELECT [Order].[ID] AS number, CAST([Order].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] BETWEEN :ID_1 AND :ID_2;

SELECT [Order].[ID] AS number, CAST([Order].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] IN (?);

SELECT [Order].[ID] AS number, CAST([Order].[DBTimeStamp] AS BIGINT) AS rowversion, [Order].[Time] AS time, [Order].[Type] AS order_type, [Order].[Closed] AS closed, [Order].[ExpirationOrDueDate] AS expires, CAST(CAST([Order].[Deposit] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS deposit, CAST(CAST([Order].[Tax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST(CAST([Order].[Total] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS total
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] BETWEEN :ID_1 AND :ID_2 ORDER BY [Order].[ID];

SELECT [Order].[ID] AS number, CAST([Order].[DBTimeStamp] AS BIGINT) AS rowversion, [Order].[Time] AS time, [Order].[Type] AS order_type, [Order].[Closed] AS closed, [Order].[ExpirationOrDueDate] AS expires, CAST(CAST([Order].[Deposit] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS deposit, CAST(CAST([Order].[Tax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST(CAST([Order].[Total] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS total
FROM [Order]
WHERE [Order].[StoreID] = :StoreID_1 AND [Order].[ID] IN (?) ORDER BY [Order].[ID];
