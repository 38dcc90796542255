INSERT INTO {keeps} AS kept ({names})
SELECT {columns} FROM {table}
WHERE {rows}
ON CONFLICT ({key}) DO UPDATE SET {takes}
WHERE ROW({is})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({comes})::pg_catalog.record
