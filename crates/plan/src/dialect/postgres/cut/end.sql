SELECT {last}, {next}
FROM (SELECT {texts}, pg_catalog.row_number() OVER (ORDER BY {columns}) AS place
  FROM (SELECT {columns} FROM {table} WHERE {window} ORDER BY {columns} LIMIT 2 OFFSET {rows}::pg_catalog.int8 - 1) AS two) AS placed
HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) 2
