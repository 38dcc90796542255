EXISTS (
  SELECT 1 FROM main.sqlite_schema
  WHERE type = 'table' AND name = {table} AND replace({text}, '"', '') = {inspected})
AND NOT EXISTS (
  SELECT 1 FROM main.sqlite_schema
  WHERE type IN ('index', 'trigger') AND tbl_name = {table} COLLATE NOCASE AND sql IS NOT NULL
    AND (name, replace(sql, '"', '')) NOT IN (VALUES {known}))
AND (
  SELECT count(*) FROM main.sqlite_schema
  WHERE type IN ('index', 'trigger') AND tbl_name = {table} COLLATE NOCASE
    AND (name, replace(sql, '"', '')) IN (VALUES {known})) = {count}
AND NOT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE {named})
