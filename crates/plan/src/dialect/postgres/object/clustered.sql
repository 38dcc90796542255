SELECT pg_catalog.format('ALTER TABLE %I.%I %s', n.nspname, c.relname, coalesce((SELECT 'CLUSTER ON ' || pg_catalog.quote_ident(x.relname)
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND i.indisclustered), 'SET WITHOUT CLUSTER'))
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass({object})
