WITH RECURSIVE chain AS (
  SELECT t.oid, t.typtype, t.typbasetype, t.typnotnull FROM pg_catalog.pg_type AS t
  WHERE t.oid OPERATOR(pg_catalog.=) pg_catalog.to_regtype({type})
  UNION ALL
  SELECT t.oid, t.typtype, t.typbasetype, t.typnotnull FROM pg_catalog.pg_type AS t
  JOIN chain AS c ON t.oid OPERATOR(pg_catalog.=) c.typbasetype
)
SELECT pg_catalog.bool_or(typtype OPERATOR(pg_catalog.=) 'd'),
  pg_catalog.bool_or(typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid OPERATOR(pg_catalog.=) chain.oid))
FROM chain
