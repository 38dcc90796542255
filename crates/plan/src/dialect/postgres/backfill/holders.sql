SELECT pg_catalog.concat('pid ', a.pid, ', ', COALESCE(NULLIF(a.application_name, ''), a.backend_type), ', open for ',
  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.int8, ' s, ', a.state), 'known'
FROM pg_catalog.pg_stat_activity AS a
WHERE (a.datname = pg_catalog.current_database() OR a.datname IS NULL) AND a.pid <> pg_catalog.pg_backend_pid()
  AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
  AND a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::pg_catalog.float8)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid)
UNION ALL
SELECT pg_catalog.concat('prepared transaction ', pg_catalog.quote_literal(p.gid), ', of ', p.owner, ', open for ',
  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::pg_catalog.int8, ' s'), 'known'
FROM pg_catalog.pg_prepared_xacts AS p
WHERE p.database = pg_catalog.current_database()
  AND p.prepared < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::pg_catalog.float8)
UNION ALL
SELECT pg_catalog.concat('replication slot ', pg_catalog.quote_literal(s.slot_name), ', ',
  pg_catalog.age(s.xmin), ' transactions behind, ', CASE WHEN s.active THEN 'active' ELSE 'inactive' END),
  CASE WHEN s.active THEN 'maybe' ELSE 'known' END
FROM pg_catalog.pg_replication_slots AS s
WHERE s.xmin IS NOT NULL AND (NOT s.active OR pg_catalog.age(s.xmin) > 1000)
UNION ALL
SELECT pg_catalog.concat('standby ', COALESCE(NULLIF(r.application_name, ''), 'without a name'), ', pid ', r.pid, ', ',
  pg_catalog.age(r.backend_xmin), ' transactions behind by its feedback, ', r.state), 'maybe'
FROM pg_catalog.pg_stat_replication AS r
WHERE r.backend_xmin IS NOT NULL AND pg_catalog.age(r.backend_xmin) > 1000
UNION ALL
SELECT 'sessions of other roles, which are hidden: GRANT pg_read_all_stats TO ' ||
  pg_catalog.quote_ident(current_user::pg_catalog.text), 'maybe'
WHERE EXISTS (
  SELECT FROM pg_catalog.pg_stat_activity AS h
  WHERE h.datname = pg_catalog.current_database() AND h.state IS NULL AND h.usesysid IS NOT NULL
    AND h.usename <> current_user AND h.pid <> pg_catalog.pg_backend_pid())
ORDER BY 2, 1 LIMIT 20
