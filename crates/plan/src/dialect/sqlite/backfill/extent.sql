SELECT
  coalesce((SELECT {rowid} - ({rowid} = 9223372036854775807) FROM {table} ORDER BY {rowid} LIMIT 1), 0),
  coalesce((SELECT {rowid} + ({rowid} < 9223372036854775807) FROM {table} ORDER BY {rowid} DESC LIMIT 1), 0)
