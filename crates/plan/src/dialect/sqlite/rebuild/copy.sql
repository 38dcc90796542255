INSERT OR IGNORE INTO {copy} ({rowid}, {columns})
SELECT {rowid}, {columns} FROM {table}
WHERE {window} AND NOT EXISTS (SELECT 1 FROM {copy} AS segue_there WHERE segue_there.{rowid} = {table}.{rowid})
