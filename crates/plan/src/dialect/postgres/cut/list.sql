ctid = ANY (ARRAY(SELECT ('(' || page || ',' || line || ')')::pg_catalog.tid
  FROM pg_catalog.generate_series($1::pg_catalog.int8, $2::pg_catalog.int8 - 1) AS page,
    pg_catalog.generate_series(1, (pg_catalog.current_setting('block_size')::pg_catalog.int4 - 24) / 28) AS line))
