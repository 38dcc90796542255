DECLARE
  mark_before pg_catalog.text := pg_catalog.current_setting('segue.rows', true);
BEGIN
  PERFORM pg_catalog.set_config('segue.rows', {mark}, true);
  IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
    DELETE FROM {target};
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    DELETE FROM {target} AS t WHERE {of_old};
  ELSE
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
      IF {key_changed} THEN
        UPDATE {target} AS t SET {moves} WHERE {of_old};
      END IF;
    END IF;
    IF {holds} THEN
      INSERT INTO {target} AS t ({names}) VALUES ({values})
      ON CONFLICT ({key}) DO UPDATE SET {takes} WHERE {differs};
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
      DELETE FROM {target} AS t WHERE {of_new};
    END IF;
  END IF;
  PERFORM pg_catalog.set_config('segue.rows', COALESCE(mark_before, ''), true);
  RETURN NULL;
END
