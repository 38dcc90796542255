SELECT low.*, high.*
FROM (SELECT {texts} FROM (SELECT {columns} FROM {table} ORDER BY {columns} LIMIT 1) AS first) AS low,
  (SELECT {texts} FROM (SELECT {columns} FROM {table} ORDER BY {down} LIMIT 1) AS last) AS high
