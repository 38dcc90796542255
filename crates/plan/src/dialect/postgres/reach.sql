WITH RECURSIVE over(id) AS (
  SELECT {table}::pg_catalog.oid
  UNION
  SELECT r.ev_class FROM over
  JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = over.id
    AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
), door AS (
  SELECT c.oid, c.relnamespace, c.relowner FROM over JOIN pg_catalog.pg_class AS c ON c.oid = over.id
  WHERE c.oid = {table} OR pg_catalog.pg_relation_is_updatable(c.oid, true) & 12 <> 0
), writer AS (
  SELECT a.oid, a.rolname FROM pg_catalog.pg_roles AS a
  WHERE NOT a.rolsuper AND a.oid >= 16384 AND EXISTS (
    SELECT FROM door WHERE pg_catalog.has_any_column_privilege(a.oid, door.oid, 'INSERT, UPDATE')
      AND (a.oid = door.relowner OR pg_catalog.has_schema_privilege(a.oid, door.relnamespace, 'USAGE')))
), wanted AS (
  SELECT 'helpers' AS kind, n.oid, n.nspname FROM pg_catalog.pg_namespace AS n WHERE n.nspname = {beside}
  UNION ALL SELECT 'schema', n.oid, n.nspname FROM pg_catalog.pg_namespace AS n WHERE n.nspname IN ({schemas})
), called AS (
  SELECT p.oid FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE p.prokind = 'f' AND (n.nspname, p.proname) IN (VALUES {functions})
  UNION SELECT o.oprcode FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
  WHERE (n.nspname, o.oprname) IN (VALUES {operators})
)
SELECT w.kind, a.rolname::pg_catalog.text, 'the schema ' || pg_catalog.quote_ident(w.nspname),
  'GRANT USAGE ON SCHEMA ' || pg_catalog.quote_ident(w.nspname) || ' TO ' || pg_catalog.quote_ident(a.rolname)
FROM writer AS a, wanted AS w WHERE NOT pg_catalog.has_schema_privilege(a.oid, w.oid, 'USAGE')
UNION ALL
SELECT 'function', a.rolname::pg_catalog.text, 'the function ' || f.name,
  'GRANT EXECUTE ON FUNCTION ' || f.name || ' TO ' || pg_catalog.quote_ident(a.rolname)
FROM writer AS a, (
  SELECT p.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
    || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS name
  FROM called JOIN pg_catalog.pg_proc AS p ON p.oid = called.oid JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
) AS f WHERE NOT pg_catalog.has_function_privilege(a.oid, f.oid, 'EXECUTE')
ORDER BY 1, 3, 2 LIMIT 100
