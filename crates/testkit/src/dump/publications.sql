SELECT 'publication ' || p.pubname || ': ' || p.tablename
FROM pg_publication_tables p
WHERE p.schemaname = $1
