SELECT a.pid, pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), a.query,
  (a.state = 'active' AND a.query ~* '^\s*(create\s+(unique\s+)?index|drop\s+index|reindex\M.*)\s+concurrently\M')
FROM pg_catalog.pg_stat_activity a
WHERE pg_catalog.starts_with(a.application_name, $1)
  AND a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.backend_type = 'client backend'
ORDER BY a.pid
