-- One line a privilege: the order in which they were granted does not count, nor whether the default is spelled out.
SELECT 'grant on ' || what || ': ' || x.privilege_type || ' to '
  || CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END
  || CASE WHEN x.is_grantable THEN ' with grant option' ELSE '' END || ' by ' || pg_get_userbyid(x.grantor)
FROM (
  SELECT 'relation ' || c.relname AS what,
    coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'column ' || c.relname || '.' || a.attname, a.attacl
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure, coalesce(p.proacl, acldefault('f', p.proowner))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1
  UNION ALL
  SELECT 'type ' || t.typname, coalesce(t.typacl, acldefault('T', t.typowner))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE n.nspname = $1 AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typelem = 0
  UNION ALL
  SELECT 'schema', coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n WHERE n.nspname = $1
  UNION ALL
  SELECT 'what ' || pg_get_userbyid(d.defaclrole) || ' makes, ' || d.defaclobjtype::text, d.defaclacl
  FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE n.nspname = $1
) g, aclexplode(g.acl) x
