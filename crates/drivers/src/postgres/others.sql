-- What is hidden from our role may be at work.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_stat_activity a
  WHERE a.datname = pg_catalog.current_database() AND a.usesysid IS NOT NULL
    AND a.pid <> pg_catalog.pg_backend_pid()
    AND COALESCE(a.backend_type, 'client backend') = 'client backend'
    AND COALESCE(a.application_name, '') OPERATOR(pg_catalog.!~) '^segue:? '
    AND (a.state IS DISTINCT FROM 'idle'
      OR a.state_change > pg_catalog.clock_timestamp() - INTERVAL '2 s'))
