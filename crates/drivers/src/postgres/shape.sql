PREPARE segue_shape (text[], text[]) AS
WITH wanted(nsp, rel) AS (SELECT * FROM unnest($1, $2)),
t AS MATERIALIZED (
  SELECT c.oid, format('%I.%I', w.nsp, w.rel) AS label, c.relkind, c.relpersistence, c.relowner, c.relacl, c.reloptions,
    c.reltablespace, c.relam, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition, c.relpartbound,
    c.relnamespace, c.reltoastrelid, c.reloftype
  FROM wanted w JOIN pg_namespace n ON n.nspname = w.nsp JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.rel),
line(label, text) AS (
  SELECT format('%I.%I', w.nsp, w.rel), 'missing'
  FROM wanted w WHERE NOT EXISTS (SELECT FROM t WHERE t.label = format('%I.%I', w.nsp, w.rel))
  UNION ALL
  SELECT t.label, format('table kind %s persistence %s', t.relkind, t.relpersistence)
    || COALESCE(' method ' || quote_ident((SELECT amname FROM pg_am WHERE oid = t.relam)), '')
    || COALESCE(' tablespace ' || quote_ident((SELECT spcname FROM pg_tablespace WHERE oid = t.reltablespace)), '')
    || CASE WHEN t.reloftype <> 0 THEN ' of ' || format_type(t.reloftype, NULL) ELSE '' END
    || COALESCE(' partition ' || pg_get_expr(t.relpartbound, t.oid), '')
    || COALESCE(' partitioned by ' || pg_get_partkeydef(t.oid), '')
  FROM t
  UNION ALL
  SELECT t.label, 'owner ' || quote_ident(pg_get_userbyid(t.relowner)) FROM t
  UNION ALL
  SELECT t.label, 'rls' || CASE WHEN t.relforcerowsecurity THEN ' forced' ELSE '' END
  FROM t WHERE t.relrowsecurity OR t.relforcerowsecurity
  UNION ALL
  SELECT t.label, 'replica identity ' || t.relreplident::text FROM t
  UNION ALL
  SELECT t.label, 'option ' || o FROM t, unnest(t.reloptions) o
  UNION ALL
  SELECT t.label, 'toast option ' || o FROM t JOIN pg_class c ON c.oid = t.reltoastrelid, unnest(c.reloptions) o
  UNION ALL
  SELECT t.label, format('grant %s', g)
  FROM t, unnest(COALESCE(t.relacl, acldefault('r', t.relowner))) g
  UNION ALL
  SELECT t.label, format('inherits %I.%I', n.nspname, c.relname)
  FROM t JOIN pg_inherits i ON i.inhrelid = t.oid JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT t.label, format('child %I.%I', n.nspname, c.relname)
  FROM t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind <> 'i' AND c.relkind <> 'I'
  UNION ALL
  SELECT t.label, format('column %I %s', a.attname, format_type(a.atttypid, a.atttypmod))
    || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    || CASE WHEN a.attgenerated <> '' THEN ' generated ' || a.attgenerated::text || ' ' ELSE '' END
    || COALESCE(CASE WHEN a.attgenerated = '' THEN ' default ' ELSE '' END || pg_get_expr(d.adbin, d.adrelid), '')
    || CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END
    || CASE WHEN a.attcollation <> y.typcollation
        THEN (SELECT format(' collate %I.%I', n.nspname, o.collname) FROM pg_collation o
              JOIN pg_namespace n ON n.oid = o.collnamespace WHERE o.oid = a.attcollation) ELSE '' END
    || CASE WHEN a.attstorage <> y.typstorage THEN ' storage ' || a.attstorage::text ELSE '' END
    || CASE WHEN {compression} <> '' THEN ' compression ' || {compression} ELSE '' END
    || CASE WHEN COALESCE(a.attstattarget, -1) <> -1 THEN ' statistics ' || a.attstattarget ELSE '' END
    || COALESCE(' options ' || array_to_string(a.attoptions, ','), '')
    || CASE WHEN a.attinhcount > 0 THEN ' inherited' ELSE '' END
  FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type y ON y.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  UNION ALL
  SELECT t.label, format('grant on column %I %s', a.attname, g)
  FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped, unnest(a.attacl) g
  UNION ALL
  SELECT t.label, format('sequence %I.%I %s of column %I', n.nspname, s.relname, format_type(q.seqtypid, NULL), a.attname)
    || format(' start %s by %s from %s to %s cycle %s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
  FROM t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i')
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
  UNION ALL
  SELECT t.label, format('constraint %I %s', o.conname, pg_get_constraintdef(o.oid))
    || CASE WHEN o.connoinherit AND o.contype = 'c' THEN ' (no inherit)' ELSE '' END
    || CASE WHEN NOT o.convalidated AND o.contype = 'n' THEN ' (not valid)' ELSE '' END
  FROM t JOIN pg_constraint o ON o.conrelid = t.oid AND o.contype <> 't'
  UNION ALL
  SELECT t.label, format('referenced by %I.%I constraint %I %s', n.nspname, c.relname, o.conname, pg_get_constraintdef(o.oid))
  FROM t JOIN pg_constraint o ON o.confrelid = t.oid AND o.contype = 'f'
  JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT t.label, format('index %s', pg_get_indexdef(i.indexrelid))
    || CASE WHEN i.indisprimary THEN ' (primary)' ELSE '' END
    || CASE WHEN NOT i.indisvalid THEN ' (invalid)' ELSE '' END || CASE WHEN NOT i.indisready THEN ' (not ready)' ELSE '' END
    || CASE WHEN i.indisclustered THEN ' (clustered)' ELSE '' END || CASE WHEN i.indisreplident THEN ' (replica identity)' ELSE '' END
    || COALESCE(' tablespace ' || quote_ident((SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace)), '')
    || COALESCE(' comment ' || quote_literal(obj_description(i.indexrelid, 'pg_class')), '')
    || COALESCE((SELECT ' statistics ' || string_agg(a.attstattarget::text, ',' ORDER BY a.attnum)
                 FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0), '')
  FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL
  SELECT t.label, format('trigger %I enabled %s %s', g.tgname, g.tgenabled, pg_get_triggerdef(g.oid))
  FROM t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT t.label, format('trigger of constraint %I enabled %s', o.conname, g.tgenabled)
  FROM t JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgisinternal AND g.tgenabled <> 'O'
  JOIN pg_constraint o ON o.oid = g.tgconstraint
  UNION ALL
  SELECT t.label, format('policy %I for %s permissive %s to %s', p.polname, p.polcmd, p.polpermissive,
      (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(r)) END, ',' ORDER BY pg_get_userbyid(r))
       FROM unnest(p.polroles) r))
    || COALESCE(' using ' || pg_get_expr(p.polqual, t.oid), '') || COALESCE(' check ' || pg_get_expr(p.polwithcheck, t.oid), '')
  FROM t JOIN pg_policy p ON p.polrelid = t.oid
  UNION ALL
  SELECT t.label, format('comment on %s %s %s',
      CASE d.classoid WHEN 'pg_class'::regclass THEN CASE d.objsubid WHEN 0 THEN 'table' ELSE 'column' END ELSE 'other' END,
      quote_ident(COALESCE(a.attname, '-')), quote_literal(d.description))
  FROM t JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_class'::regclass
  LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.objsubid AND d.objsubid <> 0
  UNION ALL
  SELECT t.label, format('comment on constraint %I %L', o.conname, d.description)
  FROM t JOIN pg_constraint o ON o.conrelid = t.oid
  JOIN pg_description d ON d.objoid = o.oid AND d.classoid = 'pg_constraint'::regclass
  UNION ALL
  SELECT t.label, format('comment on trigger %I %L', g.tgname, d.description)
  FROM t JOIN pg_trigger g ON g.tgrelid = t.oid
  JOIN pg_description d ON d.objoid = g.oid AND d.classoid = 'pg_trigger'::regclass
  UNION ALL
  SELECT t.label, format('rule %I enabled %s %s', r.rulename, r.ev_enabled, md5(pg_get_ruledef(r.oid)))
  FROM t JOIN pg_rewrite r ON r.ev_class = t.oid AND r.rulename <> '_RETURN'
  UNION ALL
  SELECT t.label, 'definition ' || md5(pg_get_viewdef(t.oid)) FROM t WHERE t.relkind IN ('v', 'm')
  UNION ALL
  SELECT v.label, format('%s %I.%I (definition %s)', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule of' END,
      n.nspname, c.relname, md5(CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE v.rules END))
  FROM (SELECT t.label, r.ev_class, string_agg(DISTINCT CASE WHEN c.relkind IN ('v', 'm') THEN '' ELSE pg_get_ruledef(r.oid) END, ';') AS rules
        FROM t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> t.oid JOIN pg_class c ON c.oid = r.ev_class
        GROUP BY t.label, r.ev_class) v
  JOIN pg_class c ON c.oid = v.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT DISTINCT t.label, format('function %s (definition %s)', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)))
  FROM t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid AND p.prokind <> 'a'
  UNION ALL
  SELECT t.label, format('publication %I%s', p.pubname, {columns_and_rows})
  FROM t JOIN pg_publication_rel pr ON pr.prrelid = t.oid JOIN pg_publication p ON p.oid = pr.prpubid
  UNION ALL
  SELECT t.label, format('publication %I of all tables', p.pubname)
  FROM t JOIN pg_publication p ON p.puballtables WHERE t.relkind IN ('r', 'p') AND t.relpersistence = 'p'
  UNION ALL
  {schemas}
  UNION ALL
  SELECT t.label, format('statistics %s target %s', pg_get_statisticsobjdef(s.oid), COALESCE(s.stxstattarget, -1))
  FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid)
SELECT COALESCE(string_agg(text, E'\n' ORDER BY text COLLATE "C"), '')
FROM (SELECT DISTINCT replace(replace(label || ': ' || line.text, E'\\', E'\\\\'), E'\n', E'\\n') AS text FROM line) lines
