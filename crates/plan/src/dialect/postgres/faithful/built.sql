SELECT CASE WHEN i.indexrelid IS NULL THEN 'undone' WHEN i.indisvalid THEN 'done' ELSE 'broken' END
FROM (VALUES (1)) AS one(n)
LEFT JOIN (pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace) ON c.relname = {name} AND s.nspname = {schema}
