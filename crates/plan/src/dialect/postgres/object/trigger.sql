SELECT p.line FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (VALUES
  (1, pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %I.%I', t.tgname, n.nspname, c.relname)),
  (2, pg_catalog.pg_get_triggerdef(t.oid)),
  (3, CASE t.tgenabled WHEN 'D' THEN pg_catalog.format('ALTER TABLE %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, t.tgname)
    WHEN 'A' THEN pg_catalog.format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I', n.nspname, c.relname, t.tgname)
    WHEN 'R' THEN pg_catalog.format('ALTER TABLE %I.%I ENABLE REPLICA TRIGGER %I', n.nspname, c.relname, t.tgname) END),
  (4, CASE WHEN pg_catalog.obj_description(t.oid, 'pg_trigger') IS NOT NULL THEN pg_catalog.format('COMMENT ON TRIGGER %I ON %I.%I IS %L',
    t.tgname, n.nspname, c.relname, pg_catalog.obj_description(t.oid, 'pg_trigger')) END)
) AS p(at, line)
WHERE t.tgrelid = pg_catalog.to_regclass({table}) AND NOT t.tgisinternal
AND '"' || pg_catalog.replace(t.tgname, '"', '""') || '"' = {object} AND p.line IS NOT NULL ORDER BY p.at
