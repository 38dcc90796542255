SELECT {key} FROM {table} WHERE {window} AND (NOT {related} OR {missed}) LIMIT 10
