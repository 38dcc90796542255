-- The indexes in which a column stands. What follows the method's name is the body; `refs` is how often each of the listed
-- columns stands in it, counted in what the server stores.
WITH path AS MATERIALIZED (
  SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS set),
wanted AS MATERIALIZED (
  SELECT w.at, a.attnum AS num
  FROM pg_catalog.unnest(ARRAY[{columns}]::pg_catalog.text[]) WITH ORDINALITY AS w(name, at)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = {table} AND a.attname = w.name AND NOT a.attisdropped),
held AS MATERIALIZED (
  SELECT i.*, c.relname, c.reltablespace, m.amname, t.relname AS of_table, n.nspname,
    COALESCE(i.indexprs::pg_catalog.text, '') || COALESCE(i.indpred::pg_catalog.text, '') AS tree
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  WHERE i.indrelid = {table}),
counted AS MATERIALIZED (
  SELECT h.indexrelid, w.at, (SELECT pg_catalog.count(*) FROM pg_catalog.unnest(h.indkey::pg_catalog.int2[]) AS k(num) WHERE k.num = w.num)
    + (pg_catalog.length(h.tree) - pg_catalog.length(pg_catalog.replace(h.tree, ':varattno ' || w.num || ' ', '')))
      / pg_catalog.length(':varattno ' || w.num || ' ') AS refs
  FROM held h, wanted w)
SELECT s.* FROM path p, held h LEFT JOIN pg_catalog.pg_constraint o ON o.conindid = h.indexrelid AND o.conrelid = h.indrelid
  AND o.contype IN ('p', 'u', 'x'), LATERAL (
  SELECT h.relname::pg_catalog.text AS name, h.indisunique::pg_catalog.text, COALESCE(o.contype::pg_catalog.text, ''),
    h.indimmediate::pg_catalog.text, (h.indisvalid AND h.indisready)::pg_catalog.text,
    CASE WHEN pg_catalog.strpos(d.def, d.head) = 1 THEN pg_catalog.substr(d.def, pg_catalog.length(d.head) + 1) END,
    COALESCE(pg_catalog.pg_get_expr(h.indpred, h.indrelid), ''),
    (SELECT pg_catalog.string_agg(c.refs::pg_catalog.text, ',' ORDER BY c.at) FROM counted c WHERE c.indexrelid = h.indexrelid),
    COALESCE((SELECT b.spcname::pg_catalog.text FROM pg_catalog.pg_tablespace b WHERE b.oid = h.reltablespace), ''),
    h.indisclustered::pg_catalog.text, h.indisreplident::pg_catalog.text, ({nulls_not_distinct})::pg_catalog.text,
    pg_catalog.obj_description(h.indexrelid, 'pg_class'), pg_catalog.obj_description(o.oid, 'pg_constraint'), h.amname::pg_catalog.text,
    (pg_catalog.strpos(h.tree, ':varattno 0 ') > 0)::pg_catalog.text
  FROM (SELECT pg_catalog.pg_get_indexdef(h.indexrelid) AS def,
    pg_catalog.format('CREATE %sINDEX %I ON %I.%I USING %I ', CASE WHEN h.indisunique THEN 'UNIQUE ' ELSE '' END,
      h.relname, h.nspname, h.of_table, h.amname) AS head) d
  WHERE p.set IS NOT NULL OFFSET 0) s
WHERE EXISTS (SELECT FROM counted c WHERE c.indexrelid = h.indexrelid AND c.at = 1 AND c.refs > 0)
ORDER BY s.name COLLATE "C"
