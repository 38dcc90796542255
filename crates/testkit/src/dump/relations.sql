-- Tables, views, sequences: what they are. `to_jsonb` reads columns that not every version has.
SELECT 'relation ' || c.relname || ': kind ' || c.relkind::text || ', persistence ' || c.relpersistence::text
  || ', owner ' || pg_get_userbyid(c.relowner)
  || ', replica identity ' || c.relreplident::text
  || ', row security ' || c.relrowsecurity || ' forced ' || c.relforcerowsecurity
  || ', options ' || coalesce((SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(c.reloptions) o), '-')
  || ', toast options ' || coalesce((SELECT string_agg(o, ' ' ORDER BY o) FROM pg_class t, unnest(t.reloptions) o
                                     WHERE t.oid = c.reltoastrelid), '-')
  || ', tablespace ' || coalesce((SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace), '-')
  || ', access method ' || coalesce((SELECT amname FROM pg_am WHERE oid = c.relam), '-')
  || ', of type ' || CASE WHEN c.reloftype = 0 THEN '-' ELSE format_type(c.reloftype, NULL) END
  || ', partition key ' || coalesce(pg_get_partkeydef(c.oid), '-')
  || ', bound ' || coalesce(pg_get_expr(c.relpartbound, c.oid), '-')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind NOT IN ('i', 'I', 't')
UNION ALL
SELECT 'inherits ' || i.inhrelid::regclass || ' from ' || i.inhparent::regclass || ' as ' || i.inhseqno
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1
UNION ALL
SELECT 'view ' || c.relname || ': ' || pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('v', 'm')
UNION ALL
SELECT 'sequence ' || s.sequencename || ': ' || s.data_type || ' start ' || s.start_value || ' min ' || s.min_value
  || ' max ' || s.max_value || ' by ' || s.increment_by || ' cycle ' || s.cycle || ' cache ' || s.cache_size
  || ', owned by ' || coalesce((
    SELECT d.refobjid::regclass || '.' || quote_ident(a.attname) || ' ' || d.deptype::text
    FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      AND d.objid = (quote_ident(s.schemaname) || '.' || quote_ident(s.sequencename))::regclass), '-')
FROM pg_sequences s WHERE s.schemaname = $1
UNION ALL
SELECT 'sequence value ' || s.sequencename || ': ' || coalesce(s.last_value::text, 'not used')
FROM pg_sequences s WHERE s.schemaname = $1
UNION ALL
SELECT 'statistics ' || s.stxname || ' on ' || s.stxrelid::regclass || ': ' || pg_get_statisticsobjdef(s.oid)
  || ', owner ' || pg_get_userbyid(s.stxowner) || ', target ' || coalesce(to_jsonb(s)->>'stxstattarget', '-1')
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1
UNION ALL
SELECT 'schema owner ' || pg_get_userbyid(n.nspowner) FROM pg_namespace n WHERE n.nspname = $1
