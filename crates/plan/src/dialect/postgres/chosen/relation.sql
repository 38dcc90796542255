SELECT w.name
FROM (VALUES {names}) AS w(n, name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
  WHERE c.relname = w.name AND s.nspname = {schema})
ORDER BY w.n OFFSET {nth} LIMIT 1
