UPDATE main.sqlite_schema
SET name = {to}, sql = {to_head} || substr(sql, 1 + length({head}))
WHERE type = 'index' AND name = {from} AND tbl_name = {table} AND substr(sql, 1, length({head})) = {head}
