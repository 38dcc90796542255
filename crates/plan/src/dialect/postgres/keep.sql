CREATE TABLE {keeps} AS SELECT {columns} FROM {table}
WHERE NOT {absent} AND {differs}
