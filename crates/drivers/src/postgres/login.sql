SELECT 'pid', pg_catalog.pg_backend_pid()::text
UNION ALL SELECT 'version', pg_catalog.current_setting('server_version_num')
UNION ALL SELECT 'standby', pg_catalog.pg_is_in_recovery()::text
UNION ALL SELECT 'read_only', (pg_catalog.current_setting('transaction_read_only') = 'on')::text
UNION ALL SELECT 'search_path', COALESCE((
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY place)
  FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS found(name, place)), '')
UNION ALL SELECT 'setting ' || name, pg_catalog.current_setting(name, true)
FROM pg_catalog.unnest(ARRAY[
  'TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'xmlbinary', 'xmloption',
  'transform_null_equals', 'array_nulls', 'standard_conforming_strings', 'escape_string_warning',
  'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config', 'session_replication_role',
  'default_tablespace', 'default_table_access_method', 'default_toast_compression', 'server_encoding']) AS name
UNION ALL SELECT 'setting collation', datcollate || ' ' || datctype
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
