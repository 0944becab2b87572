-- current_rowversion
SELECT CAST(@@DBTS AS BIGINT);

-- read_bound
SELECT CAST(@@DBTS AS BIGINT);

SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT);

SELECT is_read_committed_snapshot_on FROM sys.databases WHERE database_id = DB_ID();
