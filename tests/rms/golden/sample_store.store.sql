-- SampleStore._clock
SELECT max([Order].[LastUpdated]) AS max_1
FROM [Order];

SELECT max([Transaction].[Time]) AS max_1
FROM [Transaction];

-- SampleStore._entry
SELECT tillbridge_sample_script.position, tillbridge_sample_script.day, tillbridge_sample_script.time, tillbridge_sample_script.register, tillbridge_sample_script.kind, tillbridge_sample_script.[of], tillbridge_sample_script.invoice, tillbridge_sample_script.lines, tillbridge_sample_script.share, tillbridge_sample_script.rung_as
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.position = :position_1;

-- SampleStore._require_script
SELECT count(*) AS count_1
FROM tillbridge_sample_script;

-- SampleStore._ring_entries
SELECT tillbridge_sample_script.position, tillbridge_sample_script.day, tillbridge_sample_script.time, tillbridge_sample_script.register, tillbridge_sample_script.kind, tillbridge_sample_script.[of], tillbridge_sample_script.invoice, tillbridge_sample_script.lines, tillbridge_sample_script.share, tillbridge_sample_script.rung_as
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.rung_as IS NULL AND tillbridge_sample_script.day <= :day_1 ORDER BY tillbridge_sample_script.position;

UPDATE tillbridge_sample_script SET rung_as=:rung_as WHERE tillbridge_sample_script.position = :position_1;

-- SampleStore._rung_as
SELECT tillbridge_sample_script.rung_as
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.position = :position_1;

-- SampleStore._template
SELECT tillbridge_sample_script.position
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.kind = :kind_1 ORDER BY tillbridge_sample_script.position;

-- SampleStore.correct_tender
SELECT TOP ? [TenderEntry].[ID], [Tender].[Code]
FROM [TenderEntry] JOIN [Tender] ON [TenderEntry].[TenderID] = [Tender].[ID]
WHERE [TenderEntry].[TransactionNumber] = :TransactionNumber_1 ORDER BY [TenderEntry].[ID];

SELECT [Tender].[ID], [Tender].[Description]
FROM [Tender]
WHERE [Tender].[Code] = :Code_1;

UPDATE [TenderEntry] SET [TenderID]=:TenderID, [Description]=:Description WHERE [TenderEntry].[ID] = :ID_1;

-- SampleStore.days
SELECT DISTINCT tillbridge_sample_script.day
FROM tillbridge_sample_script
WHERE tillbridge_sample_script.rung_as IS NULL ORDER BY tillbridge_sample_script.day;

-- SampleStore.open
SELECT tillbridge_sample_marker.store_id, tillbridge_sample_marker.seed, tillbridge_sample_marker.registers, tillbridge_sample_marker.tax_system, tillbridge_sample_marker.tax_basis_points
FROM tillbridge_sample_marker;

-- SampleStore.open_orders
SELECT [Order].[ID]
FROM [Order]
WHERE [Order].[Closed] = 0 ORDER BY [Order].[ID];

-- SampleStore.ring_unknown_item
INSERT INTO [Item] ([ItemLookupCode], [Description], [ExtendedDescription], [DepartmentID], [CategoryID], [TaxID], [ItemType], [Price], [Cost], [Quantity], [Taxable], [DateCreated], [LastUpdated]) VALUES (:ItemLookupCode, :Description, :ExtendedDescription, :DepartmentID, :CategoryID, :TaxID, :ItemType, :Price, :Cost, :Quantity, :Taxable, :DateCreated, :LastUpdated);

SELECT count(*) AS count_1
FROM [Item]
WHERE [Item].[ItemLookupCode] LIKE :ItemLookupCode_1;

-- SampleStore.write_history
SELECT count(*) AS count_1
FROM [Transaction];
