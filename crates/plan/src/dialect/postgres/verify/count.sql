SELECT pg_catalog.count(*),
  {unrelated},
  pg_catalog.count(*) FILTER (WHERE {missed})
FROM {table} WHERE {window}
