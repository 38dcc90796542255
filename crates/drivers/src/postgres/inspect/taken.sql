SELECT n.nspname || '.' || o.name
FROM (SELECT relnamespace AS nsp, relname::text AS name FROM pg_class
      UNION SELECT pronamespace, proname::text FROM pg_proc
      UNION SELECT typnamespace, typname::text FROM pg_type) o
JOIN pg_namespace n ON n.oid = o.nsp AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY (n.nspname || '.' || o.name) COLLATE "C"
