-- A role without pg_read_all_stats sees that a process of another role is there, and not since when.
SELECT l.epoch, l.holder, l.pid, l.backend_start,
  CASE WHEN a.pid IS NULL THEN 'gone'
    WHEN a.backend_start IS NULL THEN 'hidden'
    WHEN pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = l.backend_start THEN 'alive'
    ELSE 'gone' END,
  greatest(0, pg_catalog.floor(COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp()
    - COALESCE((SELECT h.at FROM segue.heartbeat h WHERE h.migration = l.migration AND h.epoch = l.epoch), l.claimed_at)), 0)))::bigint
FROM segue.lease l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.migration = $1
