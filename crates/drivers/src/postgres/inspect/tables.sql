-- A size is taken by opening the table, which would wait for an exclusive lock: then the catalog's estimate must do, as it
-- does for what is stored out of line, where the exact figure would take most of the time of ten thousand tables.
WITH busy AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_locks l
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid())
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, pg_get_userbyid(c.relowner), c.relrowsecurity,
  c.relforcerowsecurity,
  EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid),
  CASE WHEN c.reltuples < 0 OR c.reltuples = 0 AND c.relpages = 0 THEN NULL ELSE c.reltuples::bigint END,
  CASE WHEN c.relkind NOT IN ('r', 'm') THEN 0
    WHEN c.oid IN (SELECT relation FROM busy) THEN c.relpages::bigint * current_setting('block_size')::bigint
    ELSE COALESCE(pg_relation_size(c.oid), 0)
      + COALESCE((SELECT o.relpages FROM pg_class o WHERE o.oid = c.reltoastrelid), 0)::bigint
        * current_setting('block_size')::bigint END,
  c.relpersistence
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT (n.nspname = 'segue' AND c.relname IN (
    'meta', 'migration', 'event', 'checkpoint', 'span', 'quarantine', 'control', 'report', 'lease', 'heartbeat'))
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
