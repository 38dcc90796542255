UPDATE {table} SET {values}
WHERE {window} AND {fillable}
