-- _new_id
INSERT INTO [Category] ([DepartmentID], [Name], [Code]) VALUES (:DepartmentID, :Name, :Code);

INSERT INTO [Department] ([Name], code) VALUES (:Name, :code);

INSERT INTO [Item] ([ItemLookupCode], [Description], [SubDescription1], [SubDescription2], [SubDescription3], [ExtendedDescription], [UnitOfMeasure], [DepartmentID], [CategoryID], [SupplierID], [TaxID], [ItemType], [Price], [PriceA], [PriceB], [PriceC], [MSRP], [Cost], [Taxable], [Inactive], [DateCreated], [LastUpdated]) VALUES (:ItemLookupCode, :Description, :SubDescription1, :SubDescription2, :SubDescription3, :ExtendedDescription, :UnitOfMeasure, :DepartmentID, :CategoryID, :SupplierID, :TaxID, :ItemType, :Price, :PriceA, :PriceB, :PriceC, :MSRP, :Cost, :Taxable, :Inactive, :DateCreated, :LastUpdated);

-- _write
INSERT INTO [Alias] ([ItemID], [Alias]) VALUES (:ItemID, :Alias);

INSERT INTO [SupplierList] ([ItemID], [SupplierID], [MasterPackQuantity], [Cost], [ReorderNumber]) VALUES (:ItemID, :SupplierID, :MasterPackQuantity, :Cost, :ReorderNumber);

UPDATE [Item] SET [DepartmentID]=:DepartmentID, [CategoryID]=:CategoryID, [SupplierID]=:SupplierID, [LastUpdated]=:LastUpdated WHERE [Item].[ID] = :ID_1;

UPDATE [Item] SET [Description]=:Description, [Inactive]=:Inactive, [LastUpdated]=:LastUpdated WHERE [Item].[ID] = :ID_1;

UPDATE [Item] SET [Description]=:Description, [Price]=:Price, [LastUpdated]=:LastUpdated WHERE [Item].[ID] = :ID_1;

-- try_rights
INSERT INTO [Alias] ([ItemID], [Alias]) SELECT [Alias].[ItemID], [Alias].[Alias]
FROM [Alias]
WHERE [Alias].[ID] = :ID_1;

INSERT INTO [Category] ([DepartmentID], [Name], [Code]) SELECT [Category].[DepartmentID], [Category].[Name], [Category].[Code]
FROM [Category]
WHERE [Category].[ID] = :ID_1;

INSERT INTO [Department] ([Name], code) SELECT [Department].[Name], [Department].code
FROM [Department]
WHERE [Department].[ID] = :ID_1;

INSERT INTO [Item] ([ItemLookupCode], [Description], [ExtendedDescription], [SubDescription1], [SubDescription2], [SubDescription3], [Price], [PriceA], [PriceB], [PriceC], [MSRP], [Inactive], [Cost], [ItemType], [UnitOfMeasure], [DepartmentID], [CategoryID], [SupplierID], [TaxID], [Taxable], [DateCreated], [LastUpdated]) SELECT [Item].[ItemLookupCode], [Item].[Description], [Item].[ExtendedDescription], [Item].[SubDescription1], [Item].[SubDescription2], [Item].[SubDescription3], [Item].[Price], [Item].[PriceA], [Item].[PriceB], [Item].[PriceC], [Item].[MSRP], [Item].[Inactive], [Item].[Cost], [Item].[ItemType], [Item].[UnitOfMeasure], [Item].[DepartmentID], [Item].[CategoryID], [Item].[SupplierID], [Item].[TaxID], [Item].[Taxable], [Item].[DateCreated], [Item].[LastUpdated]
FROM [Item]
WHERE [Item].[ID] = :ID_1;

INSERT INTO [SupplierList] ([ItemID], [SupplierID], [MasterPackQuantity], [Cost], [ReorderNumber]) SELECT [SupplierList].[ItemID], [SupplierList].[SupplierID], [SupplierList].[MasterPackQuantity], [SupplierList].[Cost], [SupplierList].[ReorderNumber]
FROM [SupplierList]
WHERE [SupplierList].[ID] = :ID_1;

INSERT INTO [Supplier] ([SupplierName], [Code], [LastUpdated]) SELECT [Supplier].[SupplierName], [Supplier].[Code], [Supplier].[LastUpdated]
FROM [Supplier]
WHERE [Supplier].[ID] = :ID_1;

UPDATE [Alias] SET [ItemID]=[Alias].[ItemID], [Alias]=[Alias].[Alias] WHERE [Alias].[ID] = :ID_1;

UPDATE [Category] SET [DepartmentID]=[Category].[DepartmentID], [Name]=[Category].[Name], [Code]=[Category].[Code] WHERE [Category].[ID] = :ID_1;

UPDATE [Department] SET [Name]=[Department].[Name], code=[Department].code WHERE [Department].[ID] = :ID_1;

UPDATE [Item] SET [ItemLookupCode]=[Item].[ItemLookupCode], [Description]=[Item].[Description], [SubDescription1]=[Item].[SubDescription1], [SubDescription2]=[Item].[SubDescription2], [SubDescription3]=[Item].[SubDescription3], [ExtendedDescription]=[Item].[ExtendedDescription], [UnitOfMeasure]=[Item].[UnitOfMeasure], [DepartmentID]=[Item].[DepartmentID], [CategoryID]=[Item].[CategoryID], [SupplierID]=[Item].[SupplierID], [TaxID]=[Item].[TaxID], [ItemType]=[Item].[ItemType], [Price]=[Item].[Price], [PriceA]=[Item].[PriceA], [PriceB]=[Item].[PriceB], [PriceC]=[Item].[PriceC], [MSRP]=[Item].[MSRP], [Cost]=[Item].[Cost], [Taxable]=[Item].[Taxable], [Inactive]=[Item].[Inactive], [DateCreated]=[Item].[DateCreated], [LastUpdated]=[Item].[LastUpdated] WHERE [Item].[ID] = :ID_1;

UPDATE [SupplierList] SET [ItemID]=[SupplierList].[ItemID], [SupplierID]=[SupplierList].[SupplierID], [MasterPackQuantity]=[SupplierList].[MasterPackQuantity], [Cost]=[SupplierList].[Cost], [ReorderNumber]=[SupplierList].[ReorderNumber] WHERE [SupplierList].[ID] = :ID_1;

UPDATE [Supplier] SET [SupplierName]=[Supplier].[SupplierName], [Code]=[Supplier].[Code], [LastUpdated]=[Supplier].[LastUpdated] WHERE [Supplier].[ID] = :ID_1;
