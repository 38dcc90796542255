SELECT pg_catalog.count(*),
  pg_catalog.count(*) FILTER (WHERE NOT {related} AND NOT {missed}),
  pg_catalog.count(*) FILTER (WHERE {missed})
FROM {table} WHERE {window}
