SELECT p.line FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (VALUES
  (1, pg_catalog.format('DROP VIEW IF EXISTS %I.%I', n.nspname, c.relname)),
  (2, pg_catalog.format('CREATE VIEW %I.%I%s AS %s', n.nspname, c.relname,
    ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), '; ')))
) AS p(at, line)
WHERE c.oid = pg_catalog.to_regclass({object}) AND c.relkind = 'v' ORDER BY p.at
