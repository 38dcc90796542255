SELECT DISTINCT n.nspname, c.relname, c.reltuples::pg_catalog.int8 FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.atttypid = pg_catalog.to_regtype({object}) AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm') ORDER BY 1, 2
