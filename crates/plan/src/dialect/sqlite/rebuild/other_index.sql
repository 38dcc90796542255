SELECT segue_fail('the index `' || name || '` was created after the plan was made: drop it, and create it again after cleanup')
FROM main.sqlite_schema
WHERE type = 'index' AND tbl_name = {table} COLLATE NOCASE AND sql IS NOT NULL AND name NOT IN ({known})
