-- What holds on to a column and is made again in the swap, as statements in order, each with its kind; and what cannot be.
-- Every definition is printed with nothing but pg_catalog in the path, so that other names come with their schemas.
WITH RECURSIVE path AS MATERIALIZED (
  SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS set),
col AS MATERIALIZED (
  SELECT a.attrelid AS rel, a.attnum AS num, c.reltype, y.typarray
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_type y ON y.oid = c.reltype
  WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped),
dep AS MATERIALIZED (
  SELECT DISTINCT d.classid, d.objid, d.objsubid
  FROM pg_catalog.pg_depend d JOIN col ON d.refobjid = col.rel AND d.refobjsubid = col.num
  WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass),
reach(oid, depth) AS (
  SELECT r.ev_class, 1 FROM col, dep d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.ev_class <> col.rel
  UNION
  SELECT r.ev_class, v.depth + 1
  FROM reach v JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
    AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  WHERE r.ev_class <> v.oid AND v.depth < 100),
view AS MATERIALIZED (
  SELECT c.oid, v.depth, c.relkind, c.relowner, c.relacl, c.reloptions, c.reltype,
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relpersistence, n.oid AS schema
  FROM (SELECT r.oid, pg_catalog.max(r.depth) AS depth FROM reach r GROUP BY r.oid) v
  JOIN pg_catalog.pg_class c ON c.oid = v.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace),
granted AS MATERIALIZED (
  SELECT v.oid, '' AS columns, x.grantor, x.grantee, x.privilege_type, x.is_grantable
  FROM view v, pg_catalog.aclexplode(v.relacl) x
  UNION ALL
  SELECT v.oid, pg_catalog.format(' (%I)', a.attname), x.grantor, x.grantee, x.privilege_type, x.is_grantable
  FROM view v JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid, pg_catalog.aclexplode(a.attacl) x),
found(act, kind, label, depth, part, text) AS (
  SELECT s.* FROM path p, view v, LATERAL (
    SELECT 'drop', 'view', 'the view ' || v.name, -v.depth, 0, 'DROP VIEW ' || v.name WHERE p.set IS NOT NULL
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 0, 'CREATE VIEW ' || v.name || COALESCE((
        SELECT ' WITH (' || pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ') || ')'
        FROM pg_catalog.pg_options_to_table(v.reloptions) o HAVING pg_catalog.count(*) > 0), '')
      || ' AS ' || pg_catalog.rtrim(pg_catalog.pg_get_viewdef(v.oid), '; ' || pg_catalog.chr(10))
    UNION ALL
    -- What ALTER DEFAULT PRIVILEGES gives to a new view was not given to this one.
    SELECT DISTINCT 'create', 'view', 'the view ' || v.name, v.depth, 1,
      pg_catalog.format('REVOKE ALL ON %s FROM %s', v.name,
        CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END)
    FROM pg_catalog.pg_default_acl f, pg_catalog.aclexplode(f.defaclacl) x
    WHERE f.defaclobjtype = 'r' AND f.defaclnamespace IN (0, v.schema)
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 2,
      pg_catalog.format('ALTER VIEW %s OWNER TO %I', v.name, pg_catalog.pg_get_userbyid(v.relowner))
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 3,
      pg_catalog.format('REVOKE ALL ON %s FROM %I', v.name, pg_catalog.pg_get_userbyid(v.relowner)) WHERE v.relacl IS NOT NULL
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 4,
      pg_catalog.format('GRANT %s%s ON %s TO %s%s', g.privilege_type, g.columns, v.name,
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM granted g WHERE g.oid = v.oid
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 5,
      CASE WHEN a.attname IS NULL THEN pg_catalog.format('COMMENT ON VIEW %s IS %L', v.name, e.description)
        ELSE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', v.name, a.attname, e.description) END
    FROM pg_catalog.pg_description e LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum = e.objsubid AND e.objsubid > 0
    WHERE e.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objoid = v.oid
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 6,
      pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v.name, a.attname, pg_catalog.pg_get_expr(f.adbin, f.adrelid))
    FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    WHERE f.adrelid = v.oid
    UNION ALL
    SELECT 'create', 'view', 'the view ' || v.name, v.depth, 7, pg_catalog.pg_get_triggerdef(g.oid)
    FROM pg_catalog.pg_trigger g WHERE g.tgrelid = v.oid AND NOT g.tgisinternal
    OFFSET 0) s
  WHERE v.relkind = 'v'
  UNION ALL
  SELECT 'refuse', 'view', CASE
      WHEN v.relkind = 'm' THEN 'the materialized view ' || v.name || ', whose rows would be computed anew under the lock'
      WHEN v.relpersistence = 't' THEN 'a temporary view of another session'
      WHEN NOT pg_catalog.pg_has_role(v.relowner, 'USAGE') THEN 'the view ' || v.name || ', which belongs to another role'
      ELSE 'the view ' || v.name || ', on which somebody other than its owner granted rights' END, 0, 0, ''
  FROM view v
  WHERE v.relkind <> 'v' OR v.relpersistence = 't' OR NOT pg_catalog.pg_has_role(v.relowner, 'USAGE')
    OR EXISTS (SELECT FROM granted g WHERE g.oid = v.oid AND g.grantor <> v.relowner)
  UNION ALL
  SELECT 'refuse', 'rule', 'the rule ' || r.rulename || ' on ' || v.name, 0, 0, ''
  FROM view v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid WHERE r.rulename <> '_RETURN'
  UNION ALL
  -- Whatever else depends on such a view, or on its rows, would keep it from being dropped.
  SELECT 'refuse', 'other', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ', which uses the view ' || v.name, 0, 0, ''
  FROM view v JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
    OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = v.reltype
  WHERE d.deptype IN ('n', 'e') AND d.classid <> 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  UNION ALL
  SELECT 'refuse', 'rule', 'the rule ' || r.rulename, 0, 0, ''
  FROM col, dep d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.ev_class = col.rel
  UNION ALL
  SELECT s.* FROM path p, col, dep d JOIN pg_catalog.pg_policy o ON o.oid = d.objid, LATERAL (
    SELECT 'drop', 'policy', 'the policy ' || o.polname, 0, 0, pg_catalog.format('DROP POLICY %I ON %s', o.polname, {name})
    WHERE p.set IS NOT NULL
    UNION ALL
    SELECT 'create', 'policy', 'the policy ' || o.polname, 0, 0,
      pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', o.polname, {name},
        CASE WHEN o.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        (SELECT pg_catalog.string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.role)) END, ', ')
         FROM pg_catalog.unnest(o.polroles) AS r(role)),
        COALESCE(' USING (' || pg_catalog.pg_get_expr(o.polqual, o.polrelid) || ')', ''),
        COALESCE(' WITH CHECK (' || pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid) || ')', ''))
    UNION ALL
    SELECT 'create', 'policy', 'the policy ' || o.polname, 0, 1, pg_catalog.format('COMMENT ON POLICY %I ON %s IS %L', o.polname, {name}, e.description)
    FROM pg_catalog.pg_description e WHERE e.classoid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND e.objoid = o.oid
    OFFSET 0) s
  WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND o.polrelid = col.rel
  UNION ALL
  SELECT 'refuse', 'policy', pg_catalog.pg_describe_object(d.classid, d.objid, 0), 0, 0, ''
  FROM col, dep d JOIN pg_catalog.pg_policy o ON o.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND o.polrelid <> col.rel
  UNION ALL
  SELECT s.* FROM path p, dep d JOIN pg_catalog.pg_trigger g ON g.oid = d.objid, LATERAL (
    SELECT 'drop', 'trigger', 'the trigger ' || g.tgname, 0, 0, pg_catalog.format('DROP TRIGGER %I ON %s', g.tgname, {name})
    WHERE p.set IS NOT NULL
    UNION ALL
    SELECT 'create', 'trigger', 'the trigger ' || g.tgname, 0, 0, pg_catalog.pg_get_triggerdef(g.oid)
    UNION ALL
    SELECT 'create', 'trigger', 'the trigger ' || g.tgname, 0, 1, pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', {name},
      CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, g.tgname)
    WHERE g.tgenabled <> 'O'
    UNION ALL
    SELECT 'create', 'trigger', 'the trigger ' || g.tgname, 0, 2, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', g.tgname, {name}, e.description)
    FROM pg_catalog.pg_description e WHERE e.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND e.objoid = g.oid
    OFFSET 0) s
  WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND NOT g.tgisinternal
    AND g.tgname NOT LIKE '~segue\_%' AND g.tgname NOT LIKE '!segue\_%'
  UNION ALL
  SELECT s.* FROM path p, dep d JOIN pg_catalog.pg_statistic_ext x ON x.oid = d.objid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace, LATERAL (
    SELECT 'drop', 'statistics', 'the statistics ' || x.stxname, 0, 0, pg_catalog.format('DROP STATISTICS %I.%I', n.nspname, x.stxname)
    WHERE p.set IS NOT NULL
    UNION ALL
    SELECT 'create', 'statistics', 'the statistics ' || x.stxname, 0, 0, pg_catalog.pg_get_statisticsobjdef(x.oid)
    UNION ALL
    SELECT 'create', 'statistics', 'the statistics ' || x.stxname, 0, 1,
      pg_catalog.format('ALTER STATISTICS %I.%I OWNER TO %I', n.nspname, x.stxname, pg_catalog.pg_get_userbyid(x.stxowner))
    UNION ALL
    SELECT 'create', 'statistics', 'the statistics ' || x.stxname, 0, 2,
      pg_catalog.format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, x.stxname, x.stxstattarget) WHERE x.stxstattarget >= 0
    UNION ALL
    SELECT 'create', 'statistics', 'the statistics ' || x.stxname, 0, 3,
      pg_catalog.format('COMMENT ON STATISTICS %I.%I IS %L', n.nspname, x.stxname, e.description)
    FROM pg_catalog.pg_description e WHERE e.classoid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND e.objoid = x.oid
    OFFSET 0) s
  WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
  {publications}
  UNION ALL
  SELECT 'refuse', 'other', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), 0, 0, ''
  FROM col, dep d LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
  LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid
  WHERE NOT (c.relkind IN ('i', 'I', 'S') AND d.objsubid = 0) IS TRUE AND NOT (f.adrelid = col.rel AND f.adnum = col.num) IS TRUE
    AND d.classid NOT IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
      'pg_catalog.pg_trigger'::pg_catalog.regclass, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass,
      'pg_catalog.pg_constraint'::pg_catalog.regclass{taken})
  UNION ALL
  -- Values of the row type that are stored elsewhere have their fields by position.
  SELECT 'refuse', 'other', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ', which holds rows of the table', 0, 0, ''
  FROM col JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (col.reltype, col.typarray)
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid > 0)
SELECT f.act, f.kind, f.label, f.text
FROM found f
ORDER BY f.act, CASE f.kind WHEN 'view' THEN 1 ELSE 0 END, f.depth, f.label COLLATE "C", f.part, f.text COLLATE "C"
