-- _close_batches
SELECT [Batch].[BatchNumber], [Batch].[OpeningTime]
FROM [Batch]
WHERE [Batch].[RegisterID] = :RegisterID_1 AND [Batch].[ClosingTime] IS NULL AND [Batch].[OpeningTime] < :OpeningTime_1;

SELECT max([OrderHistory].[Date]) AS max_1
FROM [OrderHistory]
WHERE [OrderHistory].[BatchNumber] = :BatchNumber_1;

SELECT max([Transaction].[Time]) AS max_1
FROM [Transaction]
WHERE [Transaction].[BatchNumber] = :BatchNumber_1;

UPDATE [Batch] SET [Status]=:Status, [ClosingTime]=:ClosingTime, [LastUpdated]=:LastUpdated WHERE [Batch].[BatchNumber] = :BatchNumber_1;

-- _move_stock
UPDATE [Item] SET [Quantity]=([Item].[Quantity] - :sold), [LastUpdated]=:at, [LastSold]=:at WHERE [Item].[ID] = :item_id;

-- add_to_batch
UPDATE [Batch] SET [CustomerCount]=([Batch].[CustomerCount] + :CustomerCount_1), [LastUpdated]=:LastUpdated, [ClosingTotal]=([Batch].[ClosingTotal] + :ClosingTotal_1), [Sales]=([Batch].[Sales] + :Sales_1), [Returns]=([Batch].[Returns] + :Returns_1), [Tax]=([Batch].[Tax] + :Tax_1), [SalesPlusTax]=([Batch].[SalesPlusTax] + :SalesPlusTax_1), [TotalTendered]=([Batch].[TotalTendered] + :TotalTendered_1), [CostOfGoods]=([Batch].[CostOfGoods] + :CostOfGoods_1), [CustomerDepositRedeemed]=([Batch].[CustomerDepositRedeemed] + :CustomerDepositRedeemed_1) WHERE [Batch].[BatchNumber] = :BatchNumber_1;

UPDATE [Batch] SET [CustomerCount]=([Batch].[CustomerCount] + :CustomerCount_1), [LastUpdated]=:LastUpdated, [ClosingTotal]=([Batch].[ClosingTotal] + :ClosingTotal_1), [TotalTendered]=([Batch].[TotalTendered] + :TotalTendered_1), [CustomerDepositMade]=([Batch].[CustomerDepositMade] + :CustomerDepositMade_1) WHERE [Batch].[BatchNumber] = :BatchNumber_1;

-- insert_row
INSERT INTO [Batch] ([StoreID], [RegisterID], [OpeningTime], [LastUpdated], [OpeningTotal], [ClosingTotal]) VALUES (:StoreID, :RegisterID, :OpeningTime, :LastUpdated, :OpeningTotal, :ClosingTotal);

INSERT INTO [OrderEntry] ([StoreID], [OrderID], [ItemID], [Taxable], [Price], [FullPrice], [Cost], [QuantityOnOrder], [QuantityRTD], [PriceSource], [Description], [LastUpdated], [TransactionTime]) VALUES (:StoreID, :OrderID, :ItemID, :Taxable, :Price, :FullPrice, :Cost, :QuantityOnOrder, :QuantityRTD, :PriceSource, :Description, :LastUpdated, :TransactionTime);

INSERT INTO [OrderHistory] ([StoreID], [BatchNumber], [OrderID], [CashierID], [TransactionNumber], [Date], [DeltaDeposit]) VALUES (:StoreID, :BatchNumber, :OrderID, :CashierID, :TransactionNumber, :Date, :DeltaDeposit);

INSERT INTO [Order] ([StoreID], [Type], [Taxable], [Time], [LastUpdated], [ExpirationOrDueDate]) VALUES (:StoreID, :Type, :Taxable, :Time, :LastUpdated, :ExpirationOrDueDate);

INSERT INTO [TenderEntry] ([StoreID], [BatchNumber], [TransactionNumber], [OrderHistoryID], [TenderID], [Description], [Amount], [AmountForeign]) VALUES (:StoreID, :BatchNumber, :TransactionNumber, :OrderHistoryID, :TenderID, :Description, :Amount, :AmountForeign);

INSERT INTO [TransactionEntry] ([StoreID], [TransactionNumber], [ItemID], [ItemType], [ReturnReasonCodeID], [Price], [FullPrice], [Cost], [SalesTax], [Quantity], [PriceSource], [Taxable], [TransactionTime]) VALUES (:StoreID, :TransactionNumber, :ItemID, :ItemType, :ReturnReasonCodeID, :Price, :FullPrice, :Cost, :SalesTax, :Quantity, :PriceSource, :Taxable, :TransactionTime);

INSERT INTO [Transaction] ([StoreID], [BatchNumber], [CashierID], [RecallID], [RecallType], [Time], [Total], [SalesTax]) VALUES (:StoreID, :BatchNumber, :CashierID, :RecallID, :RecallType, :Time, :Total, :SalesTax);

INSERT INTO [Transaction] ([TransactionNumber], [StoreID], [BatchNumber], [CashierID], [RecallID], [RecallType], [Time], [Total], [SalesTax]) VALUES (:TransactionNumber, :StoreID, :BatchNumber, :CashierID, :RecallID, :RecallType, :Time, :Total, :SalesTax);

-- open_batch
SELECT [Batch].[BatchNumber]
FROM [Batch]
WHERE [Batch].[RegisterID] = :RegisterID_1 AND [Batch].[OpeningTime] >= :OpeningTime_1 AND [Batch].[OpeningTime] < :OpeningTime_2;

UPDATE [Register] SET [CurrentBatchNumber]=:CurrentBatchNumber, [ZZBatchNumber]=:ZZBatchNumber WHERE [Register].[ID] = :ID_1;

-- read_items
SELECT [Item].[ID], [Item].[ItemLookupCode], [Item].[ItemType], CAST([Item].[Price] AS DECIMAL(19, 4)) AS [Price], CAST([Item].[Cost] AS DECIMAL(19, 4)) AS [Cost], [Item].[Taxable]
FROM [Item];

-- read_recall
SELECT [Transaction].[RecallType], [Transaction].[RecallID]
FROM [Transaction]
WHERE [Transaction].[TransactionNumber] = :TransactionNumber_1;

-- read_shop
SELECT [Configuration].[StoreID], [Configuration].[TaxSystem]
FROM [Configuration];

SELECT [ReasonCode].[ID]
FROM [ReasonCode]
WHERE [ReasonCode].[Type] = :Type_1;

SELECT [Tax].[ID], [Tax].[Percentage]
FROM [Tax];

SELECT [Tender].[Code], [Tender].[ID], [Tender].[Description]
FROM [Tender];

-- read_ticket
SELECT [Tender].[Code], CAST([TenderEntry].[Amount] AS DECIMAL(19, 4)) AS [Amount]
FROM [TenderEntry] JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [TenderEntry].[TransactionNumber] = :TransactionNumber_1 ORDER BY [TenderEntry].[ID];

SELECT [TransactionEntry].[ItemID], [Item].[ItemLookupCode], [TransactionEntry].[ItemType], CAST([TransactionEntry].[FullPrice] AS DECIMAL(19, 4)) AS [FullPrice], CAST([TransactionEntry].[Cost] AS DECIMAL(19, 4)) AS [Cost], [TransactionEntry].[Taxable], [TransactionEntry].[Quantity], CAST([TransactionEntry].[Price] AS DECIMAL(19, 4)) AS [Price], CAST([TransactionEntry].[SalesTax] AS DECIMAL(19, 4)) AS [SalesTax]
FROM [TransactionEntry] JOIN [Item] ON [TransactionEntry].[ItemID] = [Item].[ID]
WHERE [TransactionEntry].[TransactionNumber] = :TransactionNumber_1 ORDER BY [TransactionEntry].[ID];

-- ring_ticket
INSERT INTO [TaxEntry] ([StoreID], [TaxID], [TransactionNumber], [TransactionEntryID], [Tax], [TaxableAmount]) VALUES (:StoreID, :TaxID, :TransactionNumber, :TransactionEntryID, :Tax, :TaxableAmount);

INSERT INTO [TenderEntry] ([StoreID], [BatchNumber], [TransactionNumber], [OrderHistoryID], [TenderID], [Description], [Amount], [AmountForeign]) VALUES (:StoreID, :BatchNumber, :TransactionNumber, :OrderHistoryID, :TenderID, :Description, :Amount, :AmountForeign);
