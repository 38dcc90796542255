-- A base backup, a logical subscriber and an archive of WAL, which tells what it has written alone, replay nothing that
-- could be read. Without pg_read_all_stats
-- only the process and, of roles that are ours, the name are shown: then nobody can say how far a standby is.
WITH sender AS (
  SELECT r.replay_lsn, COALESCE(NULLIF(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid) AS name
  FROM pg_catalog.pg_stat_replication r
  WHERE r.state IS DISTINCT FROM 'backup'
    AND COALESCE(r.application_name, '') NOT IN ('pg_basebackup', 'pg_receivewal')
    AND NOT (r.write_lsn IS NOT NULL AND r.replay_lsn IS NULL)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')),
we(see, are) AS (
  SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), pg_catalog.quote_ident(CURRENT_USER))
SELECT name FROM sender, we WHERE see AND (replay_lsn IS NULL OR replay_lsn < $1::pg_catalog.pg_lsn)
UNION ALL
SELECT 'standbys cannot be seen by role ' || are || ': GRANT pg_read_all_stats TO ' || are
FROM we WHERE NOT see AND EXISTS (SELECT FROM sender)
UNION ALL
SELECT 'slot ' || s.slot_name || ' (not connected)'
FROM pg_catalog.pg_replication_slots s
WHERE s.slot_type = 'physical' AND NOT s.active AND NOT s.temporary AND s.restart_lsn IS NOT NULL
  AND s.wal_status IS DISTINCT FROM 'lost'
ORDER BY 1
