SELECT pg_catalog.format('GRANT %s ON SCHEMA %I TO %s%s', a.privilege_type, n.nspname,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
  CASE WHEN a.is_grantable AND a.grantee <> n.nspowner THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_namespace AS n, LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS a
WHERE '"' || pg_catalog.replace(n.nspname, '"', '""') || '"' = {object} ORDER BY 1
