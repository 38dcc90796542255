WITH owned AS MATERIALIZED (
  SELECT d.refobjid, d.refobjsubid,
    string_agg(quote_ident(n.nspname) || '.' || quote_ident(s.relname), E'\n' ORDER BY s.relname) AS names
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
    AND d.deptype IN ('a', 'i')
  GROUP BY d.refobjid, d.refobjsubid),
described AS MATERIALIZED (
  SELECT objoid, objsubid FROM pg_description WHERE classoid = 'pg_class'::regclass AND objsubid > 0),
-- Since 18 attnotnull is also true where NOT NULL was added NOT VALID: rows of before may be NULL.
unproved AS MATERIALIZED (
  SELECT conrelid, conkey[1] AS attnum FROM pg_constraint WHERE contype = 'n' AND NOT convalidated)
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), y.typname, a.atttypmod <> -1,
  a.attnotnull AND NOT EXISTS (SELECT FROM unproved u WHERE u.conrelid = a.attrelid AND u.attnum = a.attnum),
  CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
  CASE WHEN a.attcollation <> y.typcollation
    THEN (SELECT quote_ident(k.nspname) || '.' || quote_ident(o.collname) FROM pg_collation o
          JOIN pg_namespace k ON k.oid = o.collnamespace WHERE o.oid = a.attcollation) END,
  (e.objoid IS NOT NULL), (a.attacl IS NOT NULL),
  (COALESCE(a.attstattarget, -1) <> -1 OR a.attoptions IS NOT NULL), (a.attstorage <> y.typstorage), {compression} <> '',
  w.names
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
JOIN pg_type y ON y.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN owned w ON w.refobjid = a.attrelid AND w.refobjsubid = a.attnum
LEFT JOIN described e ON e.objoid = a.attrelid AND e.objsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND {scope}
ORDER BY a.attrelid, a.attnum
