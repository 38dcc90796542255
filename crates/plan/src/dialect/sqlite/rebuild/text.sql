UPDATE main.sqlite_schema
SET sql = {copy_head} || (
  SELECT substr(sql, 1 + length({head})) FROM main.sqlite_schema
  WHERE type = 'table' AND name = {table} AND substr(sql, 1, length({head})) = {head})
WHERE type = 'table' AND name = {copy}
