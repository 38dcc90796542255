SELECT pg_catalog.format('GRANT %s%s ON %s %I.%I TO %s%s', a.privilege_type, g.columns,
  CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
  CASE WHEN a.is_grantable AND a.grantee <> c.relowner THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL (
  SELECT '', coalesce(c.relacl, pg_catalog.acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", c.relowner))
  UNION ALL
  SELECT ' (' || pg_catalog.quote_ident(t.attname) || ')', t.attacl FROM pg_catalog.pg_attribute AS t
  WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped
) AS g(columns, acl), LATERAL pg_catalog.aclexplode(g.acl) AS a
WHERE c.oid = pg_catalog.to_regclass({object}) ORDER BY 1
