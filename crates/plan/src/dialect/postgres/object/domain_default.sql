SELECT pg_catalog.format('ALTER DOMAIN %I.%I %s', n.nspname, t.typname, coalesce('SET DEFAULT ' || t.typdefault, 'DROP DEFAULT'))
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.oid = pg_catalog.to_regtype({object})
