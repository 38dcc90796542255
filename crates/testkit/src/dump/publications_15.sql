SELECT 'publication ' || p.pubname || ': ' || p.tablename || ', where ' || coalesce(p.rowfilter, '-')
  || ', listed columns ' || coalesce((
    SELECT string_agg(a.attname, ' ' ORDER BY a.attname)
    FROM pg_publication_rel r
    JOIN pg_publication b ON b.oid = r.prpubid
    JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[])
    WHERE b.pubname = p.pubname AND r.prrelid = (quote_ident(p.schemaname) || '.' || quote_ident(p.tablename))::regclass), '-')
FROM pg_publication_tables p
WHERE p.schemaname = $1
