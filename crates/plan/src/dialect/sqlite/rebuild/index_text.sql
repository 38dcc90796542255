UPDATE main.sqlite_schema SET name = {to}, sql = {definition} WHERE type = 'index' AND name = {from} AND tbl_name = {table}
