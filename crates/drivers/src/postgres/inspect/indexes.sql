SELECT i.indrelid, i.indexrelid, c.relname, i.indisunique, i.indisprimary,
  EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype IN ('p', 'u', 'x')),
  i.indisvalid, m.amname,
  CASE WHEN k.at = 1 THEN pg_get_indexdef(i.indexrelid) END,
  CASE WHEN k.at = 1 THEN pg_get_expr(i.indpred, i.indrelid) END,
  k.at > i.indnkeyatts, a.attname,
  (k.option & 1) <> 0, (k.option & 2) <> 0,
  p.opcdefault AND COALESCE(k.coll = 0 OR k.coll = a.attcollation, false),
  (c.reloptions IS NOT NULL), (c.reltablespace <> 0),
  EXISTS (SELECT FROM pg_description d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = i.indexrelid),
  i.indisclustered, i.indisreplident, {nulls_not_distinct},
  EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = i.indexrelid AND COALESCE(s.attstattarget, -1) <> -1)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
JOIN pg_am m ON m.oid = c.relam
CROSS JOIN LATERAL (
  SELECT g.at, i.indkey[g.at - 1] AS attnum,
    CASE WHEN g.at <= i.indnkeyatts THEN i.indoption[g.at - 1] ELSE 0 END AS option,
    CASE WHEN g.at <= i.indnkeyatts THEN i.indclass[g.at - 1] END AS class,
    CASE WHEN g.at <= i.indnkeyatts THEN i.indcollation[g.at - 1] ELSE 0 END AS coll
  FROM generate_series(1, i.indnatts) AS g(at)) k
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
LEFT JOIN pg_opclass p ON p.oid = k.class
WHERE {scope}
ORDER BY i.indrelid, c.relname COLLATE "C", k.at
