WITH conflict(ours, theirs) AS (VALUES
  ('AccessShareLock', 'AccessExclusiveLock'),
  ('RowShareLock', 'ExclusiveLock'), ('RowShareLock', 'AccessExclusiveLock'),
  ('RowExclusiveLock', 'ShareLock'), ('RowExclusiveLock', 'ShareRowExclusiveLock'),
  ('RowExclusiveLock', 'ExclusiveLock'), ('RowExclusiveLock', 'AccessExclusiveLock'),
  ('ShareUpdateExclusiveLock', 'ShareUpdateExclusiveLock'), ('ShareUpdateExclusiveLock', 'ShareLock'),
  ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock'), ('ShareUpdateExclusiveLock', 'ExclusiveLock'),
  ('ShareUpdateExclusiveLock', 'AccessExclusiveLock'),
  ('ShareLock', 'RowExclusiveLock'), ('ShareLock', 'ShareUpdateExclusiveLock'), ('ShareLock', 'ShareRowExclusiveLock'),
  ('ShareLock', 'ExclusiveLock'), ('ShareLock', 'AccessExclusiveLock'),
  ('ShareRowExclusiveLock', 'RowExclusiveLock'), ('ShareRowExclusiveLock', 'ShareUpdateExclusiveLock'),
  ('ShareRowExclusiveLock', 'ShareLock'), ('ShareRowExclusiveLock', 'ShareRowExclusiveLock'),
  ('ShareRowExclusiveLock', 'ExclusiveLock'), ('ShareRowExclusiveLock', 'AccessExclusiveLock'),
  ('ExclusiveLock', 'RowShareLock'), ('ExclusiveLock', 'RowExclusiveLock'),
  ('ExclusiveLock', 'ShareUpdateExclusiveLock'), ('ExclusiveLock', 'ShareLock'),
  ('ExclusiveLock', 'ShareRowExclusiveLock'), ('ExclusiveLock', 'ExclusiveLock'), ('ExclusiveLock', 'AccessExclusiveLock'),
  ('AccessExclusiveLock', 'AccessShareLock'), ('AccessExclusiveLock', 'RowShareLock'),
  ('AccessExclusiveLock', 'RowExclusiveLock'), ('AccessExclusiveLock', 'ShareUpdateExclusiveLock'),
  ('AccessExclusiveLock', 'ShareLock'), ('AccessExclusiveLock', 'ShareRowExclusiveLock'),
  ('AccessExclusiveLock', 'ExclusiveLock'), ('AccessExclusiveLock', 'AccessExclusiveLock')),
wanted(nsp, rel, mode) AS (VALUES {wanted}),
held AS (
  SELECT DISTINCT COALESCE(l.pid, 0) AS pid
  FROM wanted w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.rel
  JOIN pg_catalog.pg_locks l ON l.locktype = 'relation' AND l.relation = c.oid
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  JOIN conflict x ON x.ours = w.mode AND x.theirs = l.mode
  WHERE l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid())
SELECT h.pid, COALESCE(a.usename, ''),
  CASE WHEN h.pid = 0 THEN 'prepared transaction' ELSE COALESCE(NULLIF(a.application_name, ''), a.backend_type, '') END,
  pg_catalog.floor(1000 * COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0))::bigint,
  COALESCE(a.query, '')
FROM held h LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
ORDER BY a.xact_start, h.pid
