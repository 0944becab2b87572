-- OrderDesk._delete_line
DELETE FROM [OrderEntry] WHERE [OrderEntry].[ID] = :ID_1;

-- OrderDesk._insert_line
SELECT [Item].[Description]
FROM [Item]
WHERE [Item].[ID] = :ID_1;

-- OrderDesk._log_deleted
INSERT INTO [RecordDeletedLog] ([ID], [RecordID], [StoreID], [TableName], [IDFieldName], [WhenDeleted]) VALUES (:ID, :RecordID, :StoreID, :TableName, :IDFieldName, :WhenDeleted);

SELECT coalesce(max([RecordDeletedLog].[ID]), :coalesce_2) AS coalesce_1
FROM [RecordDeletedLog];

-- OrderDesk._settle
SELECT CAST(coalesce(sum([OrderHistory].[DeltaDeposit]), :coalesce_2) AS DECIMAL(19, 4)) AS coalesce_1
FROM [OrderHistory]
WHERE [OrderHistory].[OrderID] = :OrderID_1;

-- OrderDesk._update_line
UPDATE [OrderEntry] SET [QuantityOnOrder]=:QuantityOnOrder, [LastUpdated]=:LastUpdated WHERE [OrderEntry].[ID] = :ID_1;

UPDATE [OrderEntry] SET [QuantityOnOrder]=:QuantityOnOrder, [QuantityRTD]=:QuantityRTD, [LastUpdated]=:LastUpdated WHERE [OrderEntry].[ID] = :ID_1;

-- OrderDesk._update_order
UPDATE [Order] SET [Closed]=:Closed, [LastUpdated]=:LastUpdated, [Deposit]=:Deposit WHERE [Order].[ID] = :ID_1;

UPDATE [Order] SET [Closed]=:Closed, [LastUpdated]=:LastUpdated, [Deposit]=:Deposit, [Tax]=:Tax, [Total]=:Total WHERE [Order].[ID] = :ID_1;

UPDATE [Order] SET [LastUpdated]=:LastUpdated, [ExpirationOrDueDate]=:ExpirationOrDueDate WHERE [Order].[ID] = :ID_1;

-- OrderDesk.delete
DELETE FROM [Order] WHERE [Order].[ID] = :ID_1;

-- read_order
SELECT [OrderEntry].[ID], CAST([OrderEntry].[Price] AS DECIMAL(19, 4)) AS [Price], [OrderEntry].[QuantityOnOrder], [OrderEntry].[QuantityRTD], [Item].[ID] AS [ID_1], [Item].[ItemLookupCode], [Item].[ItemType], CAST([Item].[Price] AS DECIMAL(19, 4)) AS [Price_1], CAST([Item].[Cost] AS DECIMAL(19, 4)) AS [Cost], [Item].[Taxable]
FROM [OrderEntry] JOIN [Item] ON [OrderEntry].[ItemID] = [Item].[ID]
WHERE [OrderEntry].[OrderID] = :OrderID_1 ORDER BY [OrderEntry].[ID];

SELECT [Order].[Type], [Order].[Closed], CAST([Order].[Deposit] AS DECIMAL(19, 4)) AS [Deposit], CAST([Order].[Total] AS DECIMAL(19, 4)) AS [Total]
FROM [Order]
WHERE [Order].[ID] = :ID_1;
