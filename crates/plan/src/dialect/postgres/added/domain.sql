WITH RECURSIVE chain(id, base, required) AS (
  SELECT t.oid, t.typbasetype, t.typnotnull FROM pg_catalog.pg_type AS t
  WHERE t.oid = pg_catalog.pg_typeof(CAST(NULL AS {type}))::pg_catalog.oid
  UNION ALL
  SELECT t.oid, t.typbasetype, t.typnotnull FROM pg_catalog.pg_type AS t JOIN chain AS c ON t.oid = c.base
)
SELECT pg_catalog.bool_or(c.required OR EXISTS (
  SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid = c.id))
FROM chain AS c
