-- What a column is besides its type: comment, grants, figures for the planner, sequences. One property a row.
WITH col AS MATERIALIZED (
  SELECT a.*, c.relowner FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped),
seq AS MATERIALIZED (
  SELECT d.deptype, s.oid, s.relacl, s.relowner, n.nspname::pg_catalog.text AS nsp, s.relname::pg_catalog.text AS rel
  FROM col JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = col.attrelid
    AND d.refobjsubid = col.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace)
SELECT f.* FROM (
  SELECT 1 AS at, 'comment' AS what, pg_catalog.col_description(col.attrelid, col.attnum) AS a, '' AS b, '' AS c, '' AS d,
    '' AS e, '' AS f, '' AS g, '' AS h, '' AS i
  FROM col WHERE pg_catalog.col_description(col.attrelid, col.attnum) IS NOT NULL
  UNION ALL
  SELECT 2, 'target', col.attstattarget::pg_catalog.text, '', '', '', '', '', '', '', '' FROM col WHERE col.attstattarget >= 0
  UNION ALL
  SELECT 3, 'option', o.option_name, o.option_value, '', '', '', '', '', '', ''
  FROM col, pg_catalog.pg_options_to_table(col.attoptions) o
  UNION ALL
  SELECT 4, CASE WHEN x.grantor = col.relowner THEN 'grant' ELSE 'foreign grant' END, x.privilege_type,
    CASE WHEN x.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::pg_catalog.text END, x.is_grantable::pg_catalog.text,
    '', '', '', '', '', ''
  FROM col, pg_catalog.aclexplode(col.attacl) x
  UNION ALL
  SELECT 5, CASE WHEN seq.deptype = 'i' THEN 'identity' ELSE 'owned' END, seq.nsp, seq.rel, q.seqstart::pg_catalog.text,
    q.seqincrement::pg_catalog.text, q.seqmin::pg_catalog.text, q.seqmax::pg_catalog.text, q.seqcache::pg_catalog.text,
    q.seqcycle::pg_catalog.text, pg_catalog.format_type(q.seqtypid, NULL)
  FROM seq JOIN pg_catalog.pg_sequence q ON q.seqrelid = seq.oid
  UNION ALL
  SELECT 6, 'sequence comment', pg_catalog.obj_description(seq.oid, 'pg_class'), '', '', '', '', '', '', '', ''
  FROM seq WHERE seq.deptype = 'i' AND pg_catalog.obj_description(seq.oid, 'pg_class') IS NOT NULL
  UNION ALL
  SELECT 7, CASE WHEN x.grantor = seq.relowner THEN 'sequence grant' ELSE 'foreign grant' END, x.privilege_type,
    CASE WHEN x.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::pg_catalog.text END, x.is_grantable::pg_catalog.text,
    '', '', '', '', '', ''
  FROM seq, pg_catalog.aclexplode(seq.relacl) x WHERE seq.deptype = 'i' AND x.grantee <> seq.relowner) f
ORDER BY 1, 2, 3, 4
