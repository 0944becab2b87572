-- _BulkWriter._flush
INSERT INTO [Batch] ([BatchNumber], [StoreID], [RegisterID], [CustomerCount], [Status], [OpeningTime], [ClosingTime], [LastUpdated], [OpeningTotal], [ClosingTotal], [Sales], [Returns], [Tax], [SalesPlusTax], [TotalTendered], [CostOfGoods], [CustomerDepositRedeemed]) VALUES (:BatchNumber, :StoreID, :RegisterID, :CustomerCount, :Status, :OpeningTime, :ClosingTime, :LastUpdated, :OpeningTotal, :ClosingTotal, :Sales, :Returns, :Tax, :SalesPlusTax, :TotalTendered, :CostOfGoods, :CustomerDepositRedeemed);

INSERT INTO [TaxEntry] ([ID], [StoreID], [TaxID], [TransactionNumber], [TransactionEntryID], [Tax], [TaxableAmount]) VALUES (:ID, :StoreID, :TaxID, :TransactionNumber, :TransactionEntryID, :Tax, :TaxableAmount);

INSERT INTO [TenderEntry] ([ID], [StoreID], [BatchNumber], [TransactionNumber], [OrderHistoryID], [TenderID], [Description], [Amount], [AmountForeign]) VALUES (:ID, :StoreID, :BatchNumber, :TransactionNumber, :OrderHistoryID, :TenderID, :Description, :Amount, :AmountForeign);

INSERT INTO [TransactionEntry] ([ID], [StoreID], [TransactionNumber], [ItemID], [ItemType], [ReturnReasonCodeID], [Price], [FullPrice], [Cost], [SalesTax], [Quantity], [PriceSource], [Taxable], [TransactionTime]) VALUES (:ID, :StoreID, :TransactionNumber, :ItemID, :ItemType, :ReturnReasonCodeID, :Price, :FullPrice, :Cost, :SalesTax, :Quantity, :PriceSource, :Taxable, :TransactionTime);

INSERT INTO [Transaction] ([TransactionNumber], [StoreID], [BatchNumber], [CashierID], [RecallID], [RecallType], [Time], [Total], [SalesTax]) VALUES (:TransactionNumber, :StoreID, :BatchNumber, :CashierID, :RecallID, :RecallType, :Time, :Total, :SalesTax);

-- _BulkWriter.finish
UPDATE [Item] SET [Quantity]=([Item].[Quantity] - :sold), [LastUpdated]=:at, [LastSold]=:at WHERE [Item].[ID] = :item_id;

-- _highest
SELECT coalesce(max([Batch].[BatchNumber]), :coalesce_2) AS coalesce_1
FROM [Batch];

SELECT coalesce(max([TaxEntry].[ID]), :coalesce_2) AS coalesce_1
FROM [TaxEntry];

SELECT coalesce(max([TenderEntry].[ID]), :coalesce_2) AS coalesce_1
FROM [TenderEntry];

SELECT coalesce(max([TransactionEntry].[ID]), :coalesce_2) AS coalesce_1
FROM [TransactionEntry];

SELECT coalesce(max([Transaction].[TransactionNumber]), :coalesce_2) AS coalesce_1
FROM [Transaction];

-- _templates
SELECT tillbridge_sample_script.position, tillbridge_sample_script.day, tillbridge_sample_script.time, tillbridge_sample_script.register, tillbridge_sample_script.kind, tillbridge_sample_script.[of], tillbridge_sample_script.invoice, tillbridge_sample_script.lines, tillbridge_sample_script.share, tillbridge_sample_script.rung_as
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.kind IN (?) ORDER BY tillbridge_sample_script.position;
