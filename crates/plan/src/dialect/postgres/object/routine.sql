SELECT p.line FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace,
LATERAL (SELECT pg_catalog.format('%I.%I(%s)', n.nspname, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)) AS name) AS x,
LATERAL (
  VALUES (1, pg_catalog.rtrim(pg_catalog.pg_get_functiondef(f.oid), E'; \n')),
  (2, pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', x.name, pg_catalog.pg_get_userbyid(f.proowner))),
  (3, CASE WHEN f.proacl IS NOT NULL THEN pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', x.name) END),
  (5, CASE WHEN pg_catalog.obj_description(f.oid, 'pg_proc') IS NOT NULL
    THEN pg_catalog.format('COMMENT ON ROUTINE %s IS %L', x.name, pg_catalog.obj_description(f.oid, 'pg_proc')) END)
  UNION ALL
  SELECT 4, pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s%s', x.name,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_catalog.aclexplode(f.proacl) AS a WHERE a.grantee <> f.proowner
) AS p(at, line)
WHERE f.oid = pg_catalog.to_regprocedure({object}) AND p.line IS NOT NULL ORDER BY p.at, p.line
