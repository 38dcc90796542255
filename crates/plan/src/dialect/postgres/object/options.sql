SELECT pg_catalog.format('ALTER TABLE %I.%I SET (%s)', n.nspname, c.relname, pg_catalog.string_agg(
  pg_catalog.format('%s=%L', pg_catalog.split_part(o.line, '=', 1), pg_catalog.substr(o.line, pg_catalog.strpos(o.line, '=') + 1)), ', '))
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (
  SELECT pg_catalog.unnest(c.reloptions)
  UNION ALL
  SELECT 'toast.' || pg_catalog.unnest(x.reloptions) FROM pg_catalog.pg_class AS x WHERE x.oid = c.reltoastrelid
) AS o(line)
WHERE c.oid = pg_catalog.to_regclass({object}) GROUP BY n.nspname, c.relname
