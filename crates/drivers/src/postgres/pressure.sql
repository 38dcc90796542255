-- One question for all: what is not asked for stands behind a condition that is false, and is not computed.
WITH we(see, are) AS (
  SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), pg_catalog.quote_ident(CURRENT_USER)),
-- A base backup and a logical subscriber replay nothing that could be read; an archive tells what it has written alone.
sender AS (
  SELECT r.write_lsn, r.flush_lsn, r.replay_lsn, r.replay_lag,
    COALESCE(NULLIF(r.application_name, ''), r.client_addr::text, 'pid ' || r.pid) AS name
  FROM pg_catalog.pg_stat_replication r
  WHERE r.state IS DISTINCT FROM 'backup'
    AND COALESCE(r.application_name, '') NOT IN ('pg_basebackup', 'pg_receivewal')
    AND NOT (r.write_lsn IS NOT NULL AND r.replay_lsn IS NULL)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')),
-- Of a session of another role only the process, the role and the name are shown without pg_read_all_stats.
other AS (
  SELECT a.backend_type, a.state, a.wait_event_type, a.xact_start
  FROM pg_catalog.pg_stat_activity a
  WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL AND a.datid IS NOT NULL
    AND COALESCE(a.backend_type, 'client backend') = 'client backend'
    AND COALESCE(a.application_name, '') OPERATOR(pg_catalog.!~) '^segue:? '),
activity AS MATERIALIZED (
  SELECT count(*) FILTER (WHERE o.backend_type IS NULL) > 0 AS hidden,
    count(*) FILTER (WHERE o.state <> 'idle') AS active,
    count(*) FILTER (WHERE o.wait_event_type = 'Lock') AS waiting,
    greatest(0, COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - min(o.xact_start)), 0)) AS longest
  FROM other o)
-- The timeline is what a file of WAL is named by first.
SELECT 'replica_lag', 'current', (pg_catalog.pg_current_wal_flush_lsn() - '0/0')::text,
  pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 8), NULL, NULL
WHERE {replica_lag}
UNION ALL
SELECT 'replica_lag', 'standby', s.name, (s.replay_lsn - '0/0')::text, (s.flush_lsn - '0/0')::text,
  EXTRACT(epoch FROM s.replay_lag)::text
FROM sender s, we WHERE {replica_lag} AND we.see
UNION ALL
SELECT 'replica_lag', 'unknown', 'standbys cannot be seen by role ' || are || ': GRANT pg_read_all_stats TO ' || are,
  NULL, NULL, NULL
FROM we WHERE {replica_lag} AND NOT see AND EXISTS (SELECT FROM sender)
UNION ALL
SELECT 'replica_lag', 'unknown', 'the standby of slot ' || pg_catalog.quote_ident(s.slot_name) || ' is not connected',
  NULL, NULL, NULL
FROM pg_catalog.pg_replication_slots s
WHERE {replica_lag} AND s.slot_type = 'physical' AND NOT s.active AND NOT s.temporary AND s.restart_lsn IS NOT NULL
  AND s.wal_status IS DISTINCT FROM 'lost'
UNION ALL
SELECT 'slot_wal', 'unknown', 'logical slot ' || pg_catalog.quote_ident(s.slot_name)
  || CASE s.wal_status WHEN 'lost' THEN ' has lost WAL that it needs' ELSE ' is about to lose WAL that it needs' END,
  NULL, NULL, NULL
FROM pg_catalog.pg_replication_slots s
WHERE {slot_wal} AND s.slot_type = 'logical' AND s.wal_status IN ('lost', 'unreserved')
UNION ALL
SELECT 'slot_wal', 'value', (pg_catalog.pg_current_wal_lsn() - s.restart_lsn)::text, NULL, NULL, NULL
FROM pg_catalog.pg_replication_slots s
WHERE {slot_wal} AND s.slot_type = 'logical' AND s.restart_lsn IS NOT NULL
UNION ALL
SELECT asked.signal, CASE WHEN activity.hidden THEN 'unknown' ELSE 'value' END,
  CASE WHEN activity.hidden
    THEN 'sessions of other roles cannot be seen by role ' || we.are || ': GRANT pg_read_all_stats TO ' || we.are
    ELSE CASE asked.signal WHEN 'active_sessions' THEN activity.active::text
      WHEN 'lock_waits' THEN activity.waiting::text ELSE activity.longest::text END END,
  NULL, NULL, NULL
FROM we, activity, (VALUES ('active_sessions', {active_sessions}), ('lock_waits', {lock_waits}),
  ('longest_transaction', {longest_transaction})) AS asked(signal, wanted)
WHERE {activity} AND asked.wanted
UNION ALL
SELECT 'wal_bytes', 'value', (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::text, NULL, NULL, NULL
WHERE {wal_bytes}
UNION ALL
SELECT 'forced_checkpoints', 'value', forced.n::text, NULL, NULL, NULL
FROM ({forced}) AS forced(n) WHERE {forced_checkpoints}
UNION ALL
SELECT 'disk_free', 'unknown', 'where the server keeps its data cannot be seen by role ' || are
  || ': GRANT pg_read_all_settings TO ' || are, NULL, NULL, NULL
FROM we WHERE {disk_free} AND NOT pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
UNION ALL
SELECT 'disk_free', 'folder', pg_catalog.current_setting('data_directory'), pg_catalog.pg_backend_pid()::text, NULL, NULL
WHERE {disk_free} AND pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
UNION ALL
SELECT 'disk_free', 'tablespace', pg_catalog.pg_tablespace_location(t.oid), NULL, NULL, NULL
FROM pg_catalog.pg_tablespace t
WHERE {disk_free} AND t.spcname NOT IN ('pg_default', 'pg_global')
