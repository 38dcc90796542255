UPDATE {table} SET {values}
WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ctid FROM {table} WHERE {window} AND {fillable} FOR NO KEY UPDATE SKIP LOCKED))
  AND {fillable}
