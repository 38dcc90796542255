BEGIN
  PERFORM pg_catalog.set_config('segue.sequence_at', s.last_value || ' ' || s.is_called, true) FROM {sequence} AS s;
END
