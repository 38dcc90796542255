SELECT pid, pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
  pg_catalog.quote_ident(CURRENT_USER), pg_catalog.quote_ident(SESSION_USER)
FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()
