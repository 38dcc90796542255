SELECT r.rolname, r.rolsuper, r.rolbypassrls, pg_catalog.pg_is_in_recovery(),
  (pg_catalog.current_setting('default_transaction_read_only') = 'on'
    OR pg_catalog.current_setting('transaction_read_only') = 'on' AND NOT pg_catalog.pg_is_in_recovery()
      AND {outside}),
  d.oid,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN ''
    ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END,
  pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute'),
  pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute'),
  r.rolsuper OR {granted}
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
WHERE r.rolname = CURRENT_USER AND d.datname = pg_catalog.current_database()
