SELECT pid, pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()
