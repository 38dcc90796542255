BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped) THEN
    {then};
  END IF;
END
