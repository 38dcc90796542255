UPDATE {table} SET {values}
WHERE {window} AND (NOT {related} OR {missed})
