SELECT pg_catalog.col_description(a.attrelid, a.attnum),
  CASE WHEN COALESCE(a.attstattarget, -1) OPERATOR(pg_catalog.<>) -1 THEN a.attstattarget::pg_catalog.text END,
  CASE WHEN a.attstorage OPERATOR(pg_catalog.<>) t.typstorage THEN a.attstorage::pg_catalog.text END,
  pg_catalog.array_to_string(a.attoptions, ', ')
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped
