-- _filed
SELECT [Category].[ID], [Category].[Code], [Category].[Name], [Category].[DepartmentID]
FROM [Category] ORDER BY [Category].[ID];

SELECT [Category].[ID], [Category].[Code], [Category].[Name], [Category].[DepartmentID]
FROM [Category] WITH (UPDLOCK, HOLDLOCK) ORDER BY [Category].[ID];

SELECT [Department].[ID], [Department].code, [Department].[Name]
FROM [Department] ORDER BY [Department].[ID];

SELECT [Department].[ID], [Department].code, [Department].[Name]
FROM [Department] WITH (UPDLOCK, HOLDLOCK) ORDER BY [Department].[ID];

SELECT [ItemTax].[ID], [ItemTax].[Code], [ItemTax].[Code] AS [Code__1]
FROM [ItemTax] ORDER BY [ItemTax].[ID];

SELECT [Supplier].[ID], [Supplier].[Code], [Supplier].[SupplierName]
FROM [Supplier] ORDER BY [Supplier].[ID];

SELECT [Supplier].[ID], [Supplier].[Code], [Supplier].[SupplierName]
FROM [Supplier] WITH (UPDLOCK, HOLDLOCK) ORDER BY [Supplier].[ID];

-- headquarters
SELECT TOP ? [Item].[ID]
FROM [Item]
WHERE [Item].[HQID] != :HQID_1;

SELECT [Configuration].[SyncID], [Configuration].[HQCreationDate]
FROM [Configuration];

-- look_up
SELECT [Alias].[ItemID], [Alias].[Alias], [Item].[ItemLookupCode] AS label
FROM [Alias] LEFT OUTER JOIN [Item] ON [Alias].[ItemID] = [Item].[ID]
WHERE [Alias].[Alias] IN (?) OR upper(rtrim([Alias].[Alias])) IN (?) ORDER BY [Alias].[ID];

SELECT [Alias].[ItemID], [Alias].[Alias], [Item].[ItemLookupCode] AS label
FROM [Alias] WITH (UPDLOCK, HOLDLOCK) LEFT OUTER JOIN [Item] ON [Alias].[ItemID] = [Item].[ID]
WHERE [Alias].[Alias] IN (?) OR upper(rtrim([Alias].[Alias])) IN (?) ORDER BY [Alias].[ID];

SELECT [Item].[ID], [Item].[ItemLookupCode], [Item].[ItemLookupCode] AS label
FROM [Item]
WHERE [Item].[ItemLookupCode] IN (?) OR upper(rtrim([Item].[ItemLookupCode])) IN (?) ORDER BY [Item].[ID];

SELECT [Item].[ID], [Item].[ItemLookupCode], [Item].[ItemLookupCode] AS label
FROM [Item] WITH (UPDLOCK, HOLDLOCK)
WHERE [Item].[ItemLookupCode] IN (?) OR upper(rtrim([Item].[ItemLookupCode])) IN (?) ORDER BY [Item].[ID];

-- read_filing
SELECT DISTINCT [Item].[Taxable]
FROM [Item]
WHERE [Item].[TaxID] = :TaxID_1 AND [Item].[Inactive] = 0;

-- read_items
SELECT [Item].[ID], [Item].[ItemLookupCode] AS [ItemLookupCode], [Item].[Description] AS [Description], [Item].[ExtendedDescription] AS [ExtendedDescription], [Item].[SubDescription1] AS [SubDescription1], [Item].[SubDescription2] AS [SubDescription2], [Item].[SubDescription3] AS [SubDescription3], CAST(CAST([Item].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [Price], CAST(CAST([Item].[PriceA] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceA], CAST(CAST([Item].[PriceB] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceB], CAST(CAST([Item].[PriceC] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceC], CAST(CAST([Item].[MSRP] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [MSRP], CAST(CAST([Item].[Cost] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [Cost], [Item].[ItemType] AS [ItemType], [Item].[UnitOfMeasure] AS [UnitOfMeasure], [Item].[DepartmentID] AS [DepartmentID], [Item].[CategoryID] AS [CategoryID], [Item].[SupplierID] AS [SupplierID], [Item].[TaxID] AS [TaxID], [Item].[Taxable] AS [Taxable], [Item].[Inactive] AS [Inactive]
FROM [Item]
WHERE [Item].[ID] IN (?);

SELECT [Item].[ID], [Item].[ItemLookupCode] AS [ItemLookupCode], [Item].[Description] AS [Description], [Item].[ExtendedDescription] AS [ExtendedDescription], [Item].[SubDescription1] AS [SubDescription1], [Item].[SubDescription2] AS [SubDescription2], [Item].[SubDescription3] AS [SubDescription3], CAST(CAST([Item].[Price] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [Price], CAST(CAST([Item].[PriceA] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceA], CAST(CAST([Item].[PriceB] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceB], CAST(CAST([Item].[PriceC] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [PriceC], CAST(CAST([Item].[MSRP] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [MSRP], CAST(CAST([Item].[Cost] AS DECIMAL(19,4)) * 10000 AS BIGINT) AS [Cost], [Item].[ItemType] AS [ItemType], [Item].[UnitOfMeasure] AS [UnitOfMeasure], [Item].[DepartmentID] AS [DepartmentID], [Item].[CategoryID] AS [CategoryID], [Item].[SupplierID] AS [SupplierID], [Item].[TaxID] AS [TaxID], [Item].[Taxable] AS [Taxable], [Item].[Inactive] AS [Inactive]
FROM [Item] WITH (UPDLOCK, HOLDLOCK)
WHERE [Item].[ID] IN (?);

SELECT [SupplierList].[ID], [SupplierList].[ItemID], [SupplierList].[SupplierID], [SupplierList].[ReorderNumber]
FROM [SupplierList]
WHERE [SupplierList].[ItemID] IN (?) ORDER BY [SupplierList].[ID];
