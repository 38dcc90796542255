SELECT {key}, {column}::pg_catalog.text, {why} FROM {table} WHERE {window} AND {fails}
