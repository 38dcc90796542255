SELECT
  (SELECT count(*) FROM {table} WHERE {window}),
  (SELECT count(*) FROM {table} AS o JOIN {copy} AS n ON n.{rowid} = o.{rowid} WHERE o.{window} AND ({differ}))
    + (SELECT count(*) FROM {copy} AS n WHERE n.{window}
       AND NOT EXISTS (SELECT 1 FROM {table} AS o WHERE o.{rowid} = n.{rowid})),
  (SELECT count(*) FROM {table} AS o WHERE o.{window}
   AND NOT EXISTS (SELECT 1 FROM {copy} AS n WHERE n.{rowid} = o.{rowid}))
