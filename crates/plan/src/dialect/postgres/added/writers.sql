SELECT r.rolname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_roles AS r ON pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT')
  OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'INSERT')
WHERE c.oid = {table} AND NOT r.rolsuper AND NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE')
  AND NOT pg_catalog.starts_with(r.rolname, 'pg_')
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_default_acl AS d
    CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS x
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
    WHERE d.defaclobjtype = 'S' AND (d.defaclnamespace = 0 OR n.nspname = {schema}) AND x.privilege_type = 'USAGE'
      AND d.defaclrole = (SELECT m.oid FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user)
      AND CASE WHEN x.grantee = 0 THEN true ELSE pg_catalog.pg_has_role(r.oid, x.grantee, 'USAGE') END)
ORDER BY 1 LIMIT 10
