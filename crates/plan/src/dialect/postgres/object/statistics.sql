SELECT p.line FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace,
LATERAL (VALUES
  (1, pg_catalog.format('DROP STATISTICS IF EXISTS %I.%I', n.nspname, s.stxname)),
  (2, pg_catalog.pg_get_statisticsobjdef(s.oid)),
  (3, CASE WHEN s.stxstattarget >= 0
    THEN pg_catalog.format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) END),
  (4, pg_catalog.format('ALTER STATISTICS %I.%I OWNER TO %I', n.nspname, s.stxname, pg_catalog.pg_get_userbyid(s.stxowner))),
  (5, CASE WHEN pg_catalog.obj_description(s.oid, 'pg_statistic_ext') IS NOT NULL THEN pg_catalog.format('COMMENT ON STATISTICS %I.%I IS %L',
    n.nspname, s.stxname, pg_catalog.obj_description(s.oid, 'pg_statistic_ext')) END)
) AS p(at, line)
WHERE {object} IN ('"' || pg_catalog.replace(s.stxname, '"', '""') || '"',
  '"' || pg_catalog.replace(n.nspname, '"', '""') || '"."' || pg_catalog.replace(s.stxname, '"', '""') || '"')
AND (pg_catalog.pg_statistics_obj_is_visible(s.oid) OR {object} LIKE '%"."%') AND p.line IS NOT NULL ORDER BY p.at
