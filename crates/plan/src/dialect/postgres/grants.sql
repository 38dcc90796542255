SELECT g.kind, g.grantee, g.privilege, g.with_option, g.col, g.by_owner
FROM (
  SELECT 'held', CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::pg_catalog.text END, x.privilege_type,
    x.is_grantable, ''::pg_catalog.text, x.grantor OPERATOR(pg_catalog.=) c.relowner
  FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS x
  WHERE c.oid = {table} AND x.grantee OPERATOR(pg_catalog.<>) c.relowner
  UNION ALL
  SELECT 'held', CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::pg_catalog.text END, x.privilege_type,
    x.is_grantable, a.attname::pg_catalog.text, x.grantor OPERATOR(pg_catalog.=) c.relowner
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped, pg_catalog.aclexplode(a.attacl) AS x
  WHERE c.oid = {table}
  UNION ALL
  SELECT DISTINCT 'default', CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::pg_catalog.text END, '',
    false, ''::pg_catalog.text, true
  FROM pg_catalog.pg_default_acl AS d
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace, pg_catalog.aclexplode(d.defaclacl) AS x
  WHERE d.defaclobjtype = 'r' AND (n.oid IS NULL OR n.nspname = {schema})
    AND d.defaclrole = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = CURRENT_USER)
    AND x.grantee OPERATOR(pg_catalog.<>) d.defaclrole) AS g(kind, grantee, privilege, with_option, col, by_owner)
ORDER BY 1, 5, 2, 3
