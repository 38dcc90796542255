-- Enums, domains, ranges and composite types; the row types of tables are the tables.
SELECT 'type ' || t.typname || ': kind ' || t.typtype::text || ', owner ' || pg_get_userbyid(t.typowner)
  || ', not null ' || t.typnotnull || ', default ' || coalesce(t.typdefault, '-')
  || ', base ' || CASE WHEN t.typbasetype = 0 THEN '-' ELSE format_type(t.typbasetype, t.typtypmod) END
  || ', collation ' || CASE WHEN t.typcollation = 0 THEN '-' ELSE t.typcollation::regcollation::text END
  || ', labels ' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ' ' ORDER BY e.enumsortorder)
                              FROM pg_enum e WHERE e.enumtypid = t.oid), '-')
  || ', range of ' || coalesce((SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid), '-')
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname = $1 AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typelem = 0
