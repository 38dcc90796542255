DECLARE
  mark_before pg_catalog.text := pg_catalog.current_setting('segue.rows', true);
BEGIN
  PERFORM pg_catalog.set_config('segue.rows', {mark}, true);
  IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
    DELETE FROM {target};
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    DELETE FROM {target} AS t WHERE {of_old};
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
    IF {holds} AND {any_old} THEN
      INSERT INTO {target} AS t ({names}) VALUES ({values}) ON CONFLICT ({key}) DO NOTHING;
    END IF;
  ELSE
    IF {key_changed} THEN
      UPDATE {target} AS t SET {moves} WHERE {of_old};
    END IF;
    IF {old_changed} THEN
      PERFORM FROM {target} AS t WHERE {of_new} FOR NO KEY UPDATE SKIP LOCKED;
      IF FOUND THEN
        IF {holds} THEN
          UPDATE {target} AS t SET {sets} WHERE {of_new} AND {differs_new};
        ELSE
          DELETE FROM {target} AS t WHERE {of_new};
        END IF;
      ELSIF EXISTS (SELECT FROM {target} AS t WHERE {of_new}) THEN
        UPDATE {source} AS s SET {gives_way} FROM {target} AS t WHERE {matches} AND {of_new};
      ELSIF {holds} THEN
        INSERT INTO {target} AS t ({names}) VALUES ({values}) ON CONFLICT ({key}) DO NOTHING;
      END IF;
    END IF;
  END IF;
  PERFORM pg_catalog.set_config('segue.rows', COALESCE(mark_before, ''), true);
  RETURN NULL;
END
