SELECT o.contype::pg_catalog.text, o.convalidated, pg_catalog.pg_get_constraintdef(o.oid),
  pg_catalog.obj_description(o.oid, 'pg_constraint'), (SELECT a.attname FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = o.conrelid AND a.attnum = o.conkey[1])
FROM pg_catalog.pg_constraint AS o WHERE o.conrelid = {table} AND o.conname = {name}
