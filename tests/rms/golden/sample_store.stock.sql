-- commit_stock
UPDATE [Item] SET [QuantityCommitted]=([Item].[QuantityCommitted] + :units), [LastUpdated]=:at WHERE [Item].[ID] = :item_id;

-- read_receipts
SELECT [InventoryTransferLog].[ReferenceID], [Item].[ItemLookupCode], [InventoryTransferLog].[Quantity]
FROM [InventoryTransferLog] JOIN [Item] ON [InventoryTransferLog].[ItemID] = [Item].[ID]
WHERE [InventoryTransferLog].[ReferenceID] > :ReferenceID_1 ORDER BY [InventoryTransferLog].[ID];

-- receive_goods
INSERT INTO [InventoryTransferLog] ([ItemID], [StoreID], [ReferenceID], [ReferenceEntryID], [CashierID], [BatchNumber], [Quantity], [Cost], [DateTransferred]) VALUES (:ItemID, :StoreID, :ReferenceID, :ReferenceEntryID, :CashierID, :BatchNumber, :Quantity, :Cost, :DateTransferred);

SELECT coalesce(max([InventoryTransferLog].[ReferenceID]), :coalesce_2) AS coalesce_1
FROM [InventoryTransferLog];

UPDATE [Item] SET [LastCost]=:LastCost, [Quantity]=([Item].[Quantity] + :Quantity_1), [LastUpdated]=:LastUpdated, [LastReceived]=:LastReceived WHERE [Item].[ID] = :ID_1;
