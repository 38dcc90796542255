SELECT pg_catalog.format('COMMENT ON %s IS %L', CASE d.objsubid WHEN 0 THEN pg_catalog.format('%s %I.%I', x.word, n.nspname, c.relname)
  ELSE pg_catalog.format('COLUMN %I.%I.%I', n.nspname, c.relname, a.attname) END, d.description)
FROM pg_catalog.pg_description AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid,
LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS word) AS x
WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = pg_catalog.to_regclass({object}) ORDER BY 1
