-- deposits_since
SELECT [OrderHistory].[ID], [OrderHistory].[OrderID]
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[ID] > :ID_1 AND [OrderHistory].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));

SELECT [OrderHistory].[ID], [OrderHistory].[OrderID]
FROM [OrderHistory]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[ID] > :ID_1 AND [OrderHistory].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND [OrderHistory].[Date] >= :Date_1;

SELECT [OrderHistory].[ID], [OrderHistory].[OrderID]
FROM [OrderHistory] LEFT OUTER JOIN [Batch] ON [Batch].[BatchNumber] = [OrderHistory].[BatchNumber]
WHERE [OrderHistory].[StoreID] = :StoreID_1 AND [OrderHistory].[ID] > :ID_1 AND [OrderHistory].[DBTimeStamp] < CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8)) AND coalesce([Batch].[OpeningTime], [OrderHistory].[Date]) >= :coalesce_1;

SELECT [TenderEntry].[ID]
FROM [TenderEntry]
WHERE [TenderEntry].[StoreID] = :StoreID_1 AND [TenderEntry].[OrderHistoryID] > :OrderHistoryID_1 AND [TenderEntry].[DBTimeStamp] >= CAST(CAST(:DBTimeStamp_1 AS BIGINT) AS BINARY(8));
