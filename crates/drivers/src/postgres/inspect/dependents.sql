WITH used AS MATERIALIZED (
  SELECT d.classid, d.objid, d.objsubid, d.refobjid AS rel, d.refobjsubid AS col, d.deptype
  FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p', 'v', 'm', 'f')
  JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  WHERE d.refclassid = 'pg_class'::regclass AND {scope}),
found(rel, kind, name, col) AS (
  SELECT u.rel, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule' END,
    n.nspname || '.' || c.relname || CASE WHEN c.relkind IN ('v', 'm') THEN '' ELSE '.' || r.rulename END, u.col
  FROM used u JOIN pg_rewrite r ON r.oid = u.objid JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE u.classid = 'pg_rewrite'::regclass AND NOT (r.ev_class = u.rel AND r.rulename = '_RETURN')
  UNION ALL
  SELECT u.rel, 'policy', p.polname || ' on ' || n.nspname || '.' || c.relname, u.col
  FROM used u JOIN pg_policy p ON p.oid = u.objid JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE u.classid = 'pg_policy'::regclass AND (u.col > 0 OR p.polrelid <> u.rel)
  UNION ALL
  SELECT u.rel, 'function', p.oid::regprocedure::text, u.col
  FROM used u JOIN pg_proc p ON p.oid = u.objid WHERE u.classid = 'pg_proc'::regclass
  UNION ALL
  SELECT t.oid, 'function', p.oid::regprocedure::text, 0
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_class t ON t.reltype = d.refobjid AND t.reltype <> 0
  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass
  UNION ALL
  SELECT u.rel, 'trigger', g.tgname::text, u.col
  FROM used u JOIN pg_trigger g ON g.oid = u.objid
  WHERE u.classid = 'pg_trigger'::regclass AND u.col > 0 AND NOT g.tgisinternal
  UNION ALL
  SELECT u.rel, 'generated column', a.attname::text, u.col
  FROM used u JOIN pg_attrdef f ON f.oid = u.objid
  JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
  WHERE u.classid = 'pg_attrdef'::regclass AND NOT (f.adrelid = u.rel AND f.adnum = u.col)
  UNION ALL
  SELECT u.rel, 'generated column', a.attname::text, u.col
  FROM used u JOIN pg_attribute a ON a.attrelid = u.objid AND a.attnum = u.objsubid AND a.attgenerated <> ''
  WHERE u.classid = 'pg_class'::regclass AND u.objsubid > 0 AND u.col > 0
  UNION ALL
  SELECT u.rel, 'statistics', n.nspname || '.' || s.stxname, u.col
  FROM used u JOIN pg_statistic_ext s ON s.oid = u.objid JOIN pg_namespace n ON n.oid = s.stxnamespace
  WHERE u.classid = 'pg_statistic_ext'::regclass
  UNION ALL
  SELECT u.rel, 'publication', p.pubname::text, u.col
  FROM used u JOIN pg_publication_rel r ON r.oid = u.objid JOIN pg_publication p ON p.oid = r.prpubid
  WHERE u.classid = 'pg_publication_rel'::regclass AND u.col > 0
  UNION ALL
  SELECT k.partrelid, 'partition key', pg_get_partkeydef(k.partrelid), c
  FROM pg_partitioned_table k, unnest(k.partattrs::int2[]) c
  UNION ALL
  -- A column that stands in the key of an index without a constraint depends once for that and once more for an expression.
  SELECT u.rel, 'index expression', c.relname::text, u.col
  FROM used u JOIN pg_index i ON i.indexrelid = u.objid JOIN pg_class c ON c.oid = i.indexrelid
  WHERE u.classid = 'pg_class'::regclass AND u.objsubid = 0 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
  GROUP BY u.rel, c.relname, u.col, i.indexrelid, i.indkey
  HAVING count(*) > CASE WHEN u.col = ANY (i.indkey::int2[]) THEN 1 ELSE 0 END
  UNION ALL
  SELECT o.conrelid, 'check', o.conname::text, c
  FROM pg_constraint o, unnest(o.conkey) c WHERE o.contype = 'c' AND o.conrelid <> 0)
SELECT f.rel, f.kind, f.name, a.attname
FROM (SELECT DISTINCT rel, kind, name, col FROM found) f
LEFT JOIN pg_attribute a ON a.attrelid = f.rel AND a.attnum = f.col AND f.col > 0
WHERE {scope_found}
ORDER BY f.rel, f.kind, f.name COLLATE "C", f.col
