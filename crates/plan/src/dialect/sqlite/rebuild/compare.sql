SELECT
  (SELECT count(*) FROM {table} WHERE {window}),
  (SELECT segue_checksum({rowid}, {columns}) FROM {table} WHERE {window}),
  (SELECT count(*) FROM {copy} WHERE {window}),
  (SELECT segue_checksum({rowid}, {columns}) FROM {copy} WHERE {window})
