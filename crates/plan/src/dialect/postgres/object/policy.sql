SELECT p.line FROM pg_catalog.pg_policy AS o JOIN pg_catalog.pg_class AS c ON c.oid = o.polrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (VALUES
  (1, pg_catalog.format('DROP POLICY IF EXISTS %I ON %I.%I', o.polname, n.nspname, c.relname)),
  (2, pg_catalog.format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s', o.polname, n.nspname, c.relname,
    CASE WHEN o.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT pg_catalog.string_agg(CASE r.id WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.id)) END, ', ')
     FROM pg_catalog.unnest(o.polroles) AS r(id)),
    ' USING (' || pg_catalog.pg_get_expr(o.polqual, o.polrelid) || ')',
    ' WITH CHECK (' || pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid) || ')')),
  (3, CASE WHEN pg_catalog.obj_description(o.oid, 'pg_policy') IS NOT NULL THEN pg_catalog.format('COMMENT ON POLICY %I ON %I.%I IS %L',
    o.polname, n.nspname, c.relname, pg_catalog.obj_description(o.oid, 'pg_policy')) END)
) AS p(at, line)
WHERE o.polrelid = pg_catalog.to_regclass({table})
AND '"' || pg_catalog.replace(o.polname, '"', '""') || '"' = {object} AND p.line IS NOT NULL ORDER BY p.at
