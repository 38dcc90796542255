DECLARE
  mark_before pg_catalog.text := pg_catalog.current_setting('segue.rows', true);
BEGIN
  PERFORM pg_catalog.set_config('segue.rows', {mark}, true);
  IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
    UPDATE {source} AS s SET {nulls} WHERE {any_old};
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    UPDATE {source} AS s SET {nulls} WHERE {of_old} AND {any_old};
  ELSE
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
      IF {key_changed} THEN
        UPDATE {source} AS s SET {nulls} WHERE {of_old} AND {any_old};
      END IF;
    END IF;
    UPDATE {source} AS s SET {takes} WHERE {of_new} AND {differs};
  END IF;
  PERFORM pg_catalog.set_config('segue.rows', COALESCE(mark_before, ''), true);
  RETURN NULL;
END
