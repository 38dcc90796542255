-- A role without pg_read_all_stats sees that a process of another role is there, and not since when: then it counts as alive.
UPDATE segue.span s SET pid = $5::int, backend_start = $6
WHERE s.migration = $1 AND s.attempt = $2::int AND s.step = $3::int AND s.number = (
  SELECT f.number FROM segue.span f
  WHERE f.migration = $1 AND f.attempt = $2::int AND f.step = $3::int AND f.waits = $4::boolean
    AND f.pass = (SELECT c.pass FROM segue.checkpoint c
      WHERE c.migration = $1 AND c.attempt = $2::int AND c.step = $3::int)
    AND (f.pid IS NULL OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_stat_activity a
      WHERE a.pid = f.pid AND a.application_name OPERATOR(pg_catalog.~) '^segue:? ' AND (a.backend_start IS NULL
        OR pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = f.backend_start)))
  ORDER BY f.number LIMIT 1
  FOR UPDATE SKIP LOCKED)
RETURNING s.number, s.pass, s.next_bound, s.end_bound, s.done, s.rows, s.waits
