SELECT 'policy', p.polrelid::text, p.polname::text FROM pg_policy p
UNION ALL SELECT 'published', r.prrelid::text, p.pubname::text FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
UNION ALL SELECT 'all published', '', p.pubname::text FROM pg_publication p WHERE p.puballtables
{schemas}
ORDER BY 1, 2, 3
