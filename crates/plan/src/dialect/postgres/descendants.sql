WITH RECURSIVE below(id) AS (
  SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = {table}
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN below AS b ON i.inhparent = b.id
)
SELECT n.nspname, c.relname
FROM below AS b
JOIN pg_catalog.pg_class AS c ON c.oid = b.id
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 1, 2
