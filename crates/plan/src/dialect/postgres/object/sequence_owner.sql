SELECT pg_catalog.format('ALTER SEQUENCE %I.%I OWNED BY %s', n.nspname, c.relname, coalesce(
  (SELECT pg_catalog.format('%I.%I.%I', tn.nspname, t.relname, a.attname) FROM pg_catalog.pg_depend AS d
   JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'a'), 'NONE'))
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass({object}) AND c.relkind = 'S'
