SELECT c.relname
FROM pg_catalog.pg_namespace AS n
LEFT JOIN (pg_catalog.pg_class AS c
  JOIN (
    SELECT i.indexrelid AS oid FROM pg_catalog.pg_index AS i WHERE i.indrelid = {table}
    UNION
    SELECT d.objid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid = {table} AND d.deptype IN ('a', 'i')) AS mine ON mine.oid = c.oid)
  ON EXISTS (SELECT FROM pg_catalog.pg_class AS other WHERE other.relnamespace = n.oid AND other.relname = c.relname)
WHERE n.nspname = {schema}
ORDER BY 1
