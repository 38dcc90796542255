-- A base backup, a logical subscriber and an archive of WAL replay nothing that could be read.
SELECT COALESCE(NULLIF(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid)
FROM pg_catalog.pg_stat_replication r
WHERE (r.replay_lsn IS NULL OR r.replay_lsn < $1::pg_catalog.pg_lsn)
  AND r.state IS DISTINCT FROM 'backup' AND r.application_name IS DISTINCT FROM 'pg_receivewal'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
UNION ALL
SELECT 'slot ' || s.slot_name || ' (not connected)'
FROM pg_catalog.pg_replication_slots s
WHERE s.slot_type = 'physical' AND NOT s.active AND NOT s.temporary AND s.restart_lsn IS NOT NULL
  AND s.wal_status IS DISTINCT FROM 'lost'
ORDER BY 1
