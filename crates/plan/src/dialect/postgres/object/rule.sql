SELECT p.line FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (VALUES
  (1, pg_catalog.format('DROP RULE IF EXISTS %I ON %I.%I', r.rulename, n.nspname, c.relname)),
  (2, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), '; ')),
  (3, CASE r.ev_enabled WHEN 'D' THEN pg_catalog.format('ALTER TABLE %I.%I DISABLE RULE %I', n.nspname, c.relname, r.rulename) END),
  (4, CASE WHEN pg_catalog.obj_description(r.oid, 'pg_rewrite') IS NOT NULL THEN pg_catalog.format('COMMENT ON RULE %I ON %I.%I IS %L',
    r.rulename, n.nspname, c.relname, pg_catalog.obj_description(r.oid, 'pg_rewrite')) END)
) AS p(at, line)
WHERE r.ev_class = pg_catalog.to_regclass({table})
AND '"' || pg_catalog.replace(r.rulename, '"', '""') || '"' = {object} AND p.line IS NOT NULL ORDER BY p.at
