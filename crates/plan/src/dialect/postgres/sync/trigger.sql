CREATE TRIGGER {trigger} BEFORE {events} ON {table} FOR EACH ROW
  WHEN (pg_catalog.current_setting('segue.backfill', true) IS DISTINCT FROM 'on' AND {guard})
  EXECUTE FUNCTION {function}()
