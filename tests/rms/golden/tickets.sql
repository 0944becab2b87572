-- read_tickets
SELECT [TenderEntry].[TransactionNumber] AS number, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TenderEntry]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2;

SELECT [TenderEntry].[TransactionNumber] AS number, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TenderEntry]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[TransactionNumber] IN (?);

SELECT [TenderEntry].[TransactionNumber] AS number, [TenderEntry].[ID] AS entry_id, [TenderEntry].[TenderID] AS tender_id, coalesce([Tender].[Code], :coalesce_1) AS code, coalesce([Tender].[Description], :coalesce_2) AS name, CAST(CAST([TenderEntry].[Amount] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS amount, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TenderEntry] LEFT OUTER JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2 ORDER BY [TenderEntry].[TransactionNumber], [TenderEntry].[ID];

SELECT [TenderEntry].[TransactionNumber] AS number, [TenderEntry].[ID] AS entry_id, [TenderEntry].[TenderID] AS tender_id, coalesce([Tender].[Code], :coalesce_1) AS code, coalesce([Tender].[Description], :coalesce_2) AS name, CAST(CAST([TenderEntry].[Amount] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS amount, CAST([TenderEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TenderEntry] LEFT OUTER JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[TransactionNumber] IN (?) ORDER BY [TenderEntry].[TransactionNumber], [TenderEntry].[ID];

SELECT [TransactionEntry].[TransactionNumber] AS number, CAST([TransactionEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2;

SELECT [TransactionEntry].[TransactionNumber] AS number, CAST([TransactionEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TransactionEntry]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[TransactionNumber] IN (?);

SELECT [TransactionEntry].[TransactionNumber] AS number, [TransactionEntry].[ID] AS entry_id, [TransactionEntry].[ItemID] AS item_id, coalesce([Item].[ItemLookupCode], :coalesce_1) AS sku, coalesce([Item].[Description], :coalesce_2) AS description, [TransactionEntry].[ItemType] AS item_type, CASE WHEN ABS([TransactionEntry].[Quantity]) < 1E10 THEN CAST(CAST(ROUND([TransactionEntry].[Quantity], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS quantity, CAST(CAST([TransactionEntry].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS unit_price, CAST(CAST([TransactionEntry].[SalesTax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST([TransactionEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TransactionEntry] LEFT OUTER JOIN [Item] ON [TransactionEntry].[ItemID] = [Item].[ID]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2 ORDER BY [TransactionEntry].[TransactionNumber], [TransactionEntry].[ID];

SELECT [TransactionEntry].[TransactionNumber] AS number, [TransactionEntry].[ID] AS entry_id, [TransactionEntry].[ItemID] AS item_id, coalesce([Item].[ItemLookupCode], :coalesce_1) AS sku, coalesce([Item].[Description], :coalesce_2) AS description, [TransactionEntry].[ItemType] AS item_type, CASE WHEN ABS([TransactionEntry].[Quantity]) < 1E10 THEN CAST(CAST(ROUND([TransactionEntry].[Quantity], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END AS quantity, CAST(CAST([TransactionEntry].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS unit_price, CAST(CAST([TransactionEntry].[SalesTax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST([TransactionEntry].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [TransactionEntry] LEFT OUTER JOIN [Item] ON [TransactionEntry].[ItemID] = [Item].[ID]
WHERE [TransactionEntry].[StoreID] = :StoreID_1 AND [TransactionEntry].[TransactionNumber] IN (?) ORDER BY [TransactionEntry].[TransactionNumber], [TransactionEntry].[ID];

SELECT [Transaction].[TransactionNumber] AS number, CAST([Transaction].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2;

SELECT [Transaction].[TransactionNumber] AS number, CAST([Transaction].[DBTimeStamp] AS BIGINT) AS rowversion
FROM [Transaction]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[TransactionNumber] IN (?);

SELECT [Transaction].[TransactionNumber] AS number, CAST([Transaction].[DBTimeStamp] AS BIGINT) AS rowversion, [Transaction].[Time] AS time, [Transaction].[BatchNumber] AS z_batch, coalesce([Batch].[RegisterID], :coalesce_1) AS register, [Batch].[OpeningTime] AS opening, [Transaction].[RecallType] AS recall_type, [Transaction].[RecallID] AS recall_id, coalesce([Order].[Type], :coalesce_2) AS recalled_order_type, CAST(CAST([Transaction].[SalesTax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST(CAST([Transaction].[Total] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS total
FROM [Transaction] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [Transaction].[BatchNumber] LEFT OUTER JOIN [Order] ON [Transaction].[RecallType] = :RecallType_1 AND [Transaction].[RecallID] = [Order].[ID] AND [Order].[StoreID] = [Transaction].[StoreID]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[TransactionNumber] BETWEEN :TransactionNumber_1 AND :TransactionNumber_2 ORDER BY [Transaction].[TransactionNumber];

SELECT [Transaction].[TransactionNumber] AS number, CAST([Transaction].[DBTimeStamp] AS BIGINT) AS rowversion, [Transaction].[Time] AS time, [Transaction].[BatchNumber] AS z_batch, coalesce([Batch].[RegisterID], :coalesce_1) AS register, [Batch].[OpeningTime] AS opening, [Transaction].[RecallType] AS recall_type, [Transaction].[RecallID] AS recall_id, coalesce([Order].[Type], :coalesce_2) AS recalled_order_type, CAST(CAST([Transaction].[SalesTax] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS tax, CAST(CAST([Transaction].[Total] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS total
FROM [Transaction] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [Transaction].[BatchNumber] LEFT OUTER JOIN [Order] ON [Transaction].[RecallType] = :RecallType_1 AND [Transaction].[RecallID] = [Order].[ID] AND [Order].[StoreID] = [Transaction].[StoreID]
WHERE [Transaction].[StoreID] = :StoreID_1 AND [Transaction].[TransactionNumber] IN (?) ORDER BY [Transaction].[TransactionNumber];
