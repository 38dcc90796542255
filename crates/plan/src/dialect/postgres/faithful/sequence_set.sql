BEGIN
  PERFORM pg_catalog.setval({sequence}, pg_catalog.split_part(s.at, ' ', 1)::pg_catalog.int8,
    pg_catalog.split_part(s.at, ' ', 2)::pg_catalog.bool)
  FROM (SELECT pg_catalog.current_setting('segue.sequence_at') AS at) AS s;
END
