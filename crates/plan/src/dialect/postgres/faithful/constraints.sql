-- The CHECK constraints and foreign keys, in both directions, in which a column stands: one row a pair of columns.
WITH path AS MATERIALIZED (
  SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS set),
wanted AS MATERIALIZED (
  SELECT w.at, a.attnum AS num
  FROM pg_catalog.unnest(ARRAY[{columns}]::pg_catalog.text[]) WITH ORDINALITY AS w(name, at)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = {table} AND a.attname = w.name AND NOT a.attisdropped),
held AS MATERIALIZED (
  SELECT o.*, o.conbin::pg_catalog.text AS tree, pg_catalog.to_jsonb(o)->>'conenforced' AS enforced
  FROM pg_catalog.pg_constraint o, wanted w
  WHERE w.at = 1 AND (o.contype IN ('c', 'f') AND o.conrelid = {table} AND w.num = ANY (o.conkey)
    OR o.contype = 'f' AND o.confrelid = {table} AND w.num = ANY (o.confkey)))
SELECT s.* FROM path p, held h JOIN pg_catalog.pg_class c ON c.oid = h.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class f ON f.oid = h.confrelid LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace, LATERAL (
  SELECT h.oid::pg_catalog.text, h.contype::pg_catalog.text, h.conname::pg_catalog.text AS name, n.nspname::pg_catalog.text AS nsp,
    c.relname::pg_catalog.text AS rel, fn.nspname::pg_catalog.text, f.relname::pg_catalog.text,
    a.attname::pg_catalog.text, b.attname::pg_catalog.text,
    ({set_columns})::pg_catalog.text, h.confmatchtype::pg_catalog.text, h.confupdtype::pg_catalog.text,
    h.confdeltype::pg_catalog.text, h.condeferrable::pg_catalog.text, h.condeferred::pg_catalog.text, h.convalidated::pg_catalog.text,
    CASE WHEN h.contype = 'c' THEN pg_catalog.pg_get_expr(h.conbin, h.conrelid) END,
    (SELECT pg_catalog.string_agg(((pg_catalog.length(h.tree) - pg_catalog.length(pg_catalog.replace(h.tree, ':varattno ' || w.num || ' ', '')))
      / pg_catalog.length(':varattno ' || w.num || ' '))::pg_catalog.text, ',' ORDER BY w.at) FROM wanted w),
    h.connoinherit::pg_catalog.text, pg_catalog.obj_description(h.oid, 'pg_constraint'),
    CASE WHEN h.conparentid <> 0 OR c.relkind = 'p' OR f.relkind = 'p' THEN 'is of a partitioned table'
      WHEN h.enforced = 'false' THEN 'is NOT ENFORCED'
      WHEN pg_catalog.strpos(h.tree, ':varattno 0 ') > 0 THEN 'names whole rows'
      WHEN NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN 'is on a table of another role'
      WHEN f.oid IS NOT NULL AND NOT pg_catalog.pg_has_role(f.relowner, 'USAGE') THEN 'points to a table of another role'
      ELSE '' END, k.at AS place
  FROM ROWS FROM (pg_catalog.unnest(h.conkey), pg_catalog.unnest(h.confkey)) WITH ORDINALITY AS k(own, other, at)
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = h.conrelid AND a.attnum = k.own
  LEFT JOIN pg_catalog.pg_attribute b ON b.attrelid = h.confrelid AND b.attnum = k.other
  WHERE p.set IS NOT NULL OFFSET 0) s
ORDER BY s.nsp COLLATE "C", s.rel COLLATE "C", s.name COLLATE "C", s.place
