SELECT coalesce(
  (SELECT {rowid} FROM {table} WHERE {rowid} >= $1 ORDER BY {rowid} LIMIT 1 OFFSET $2),
  (SELECT {rowid} + ({rowid} < 9223372036854775807) FROM {table} WHERE {rowid} >= $1 ORDER BY {rowid} DESC LIMIT 1),
  $1 + ($1 < 9223372036854775807))
