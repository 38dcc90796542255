-- Columns of tables, views and composite types, and the statistics targets of index columns; without their position.
SELECT 'column ' || c.relname || '.' || a.attname || ': ' || format_type(a.atttypid, a.atttypmod)
  || ', not null ' || a.attnotnull
  || ', default ' || CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '-') ELSE '-' END
  || ', generated ' || CASE WHEN a.attgenerated = '' THEN '-'
                            ELSE a.attgenerated::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') END
  || ', identity ' || coalesce(nullif(a.attidentity::text, ''), '-')
  || ', collation ' || CASE WHEN a.attcollation = 0 THEN '-' ELSE a.attcollation::regcollation::text END
  || ', storage ' || a.attstorage::text
  || ', compression ' || coalesce(nullif(to_jsonb(a)->>'attcompression', ''), '-')
  || ', statistics ' || coalesce(to_jsonb(a)->>'attstattarget', '-1')
  || ', options ' || coalesce((SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(a.attoptions) o), '-')
  || ', inherited ' || a.attinhcount || ' local ' || a.attislocal
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = $1 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
UNION ALL
SELECT 'index column ' || c.relname || ' ' || a.attnum || ': statistics ' || coalesce(to_jsonb(a)->>'attstattarget', '-1')
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('i', 'I')
