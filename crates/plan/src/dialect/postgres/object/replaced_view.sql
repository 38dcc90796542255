SELECT p.line FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refobjid = c.oid AND r.ev_class <> c.oid) AS read) AS others,
LATERAL (VALUES
  (1, CASE WHEN NOT others.read THEN pg_catalog.format('DROP VIEW IF EXISTS %I.%I', n.nspname, c.relname) END),
  (2, pg_catalog.format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, c.relname,
    ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), '; ')))
) AS p(at, line)
WHERE c.oid = pg_catalog.to_regclass({object}) AND c.relkind = 'v' AND p.line IS NOT NULL ORDER BY p.at
