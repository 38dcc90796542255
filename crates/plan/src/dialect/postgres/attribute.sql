SELECT COALESCE(a.attstattarget, -1)::pg_catalog.text,
  COALESCE(pg_catalog.array_to_string(a.attoptions, ','), ''),
  a.attstorage::pg_catalog.text,
  {compression},
  a.attgenerated::pg_catalog.text,
  a.attidentity::pg_catalog.text,
  {not_null},
  s.nspname, s.relname,
  q.seqstart::pg_catalog.text, q.seqincrement::pg_catalog.text, q.seqmin::pg_catalog.text, q.seqmax::pg_catalog.text,
  q.seqcache::pg_catalog.text, q.seqcycle::pg_catalog.text
FROM pg_catalog.pg_attribute AS a
LEFT JOIN (
  SELECT d.refobjid, d.refobjsubid, d.objid, c.relname, n.nspname
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid AND d.deptype = 'i'
) AS s ON s.refobjid = a.attrelid AND s.refobjsubid = a.attnum
LEFT JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.objid
WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped
