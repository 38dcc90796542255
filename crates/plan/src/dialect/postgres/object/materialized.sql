SELECT p.line FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (
  VALUES (1, pg_catalog.format('DROP MATERIALIZED VIEW IF EXISTS %I.%I', n.nspname, c.relname)),
  (2, pg_catalog.format('CREATE MATERIALIZED VIEW %I.%I%s AS %s WITH %s', n.nspname, c.relname,
    ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')',
    pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), '; '), CASE WHEN c.relispopulated THEN 'DATA' ELSE 'NO DATA' END))
  UNION ALL
  SELECT 3, pg_catalog.pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid
) AS p(at, line)
WHERE c.oid = pg_catalog.to_regclass({object}) AND c.relkind = 'm' ORDER BY p.at, p.line
