SELECT says FROM (
  SELECT o.{rowid} AS at, 'rowid ' || o.{rowid} || ' differs' AS says
  FROM {table} AS o JOIN {copy} AS n ON n.{rowid} = o.{rowid} WHERE o.{window} AND ({differ})
  UNION ALL
  SELECT n.{rowid}, 'rowid ' || n.{rowid} || ' is only in the copy'
  FROM {copy} AS n WHERE n.{window} AND NOT EXISTS (SELECT 1 FROM {table} AS o WHERE o.{rowid} = n.{rowid})
  UNION ALL
  SELECT o.{rowid}, 'rowid ' || o.{rowid} || ' is not in the copy'
  FROM {table} AS o WHERE o.{window} AND NOT EXISTS (SELECT 1 FROM {copy} AS n WHERE n.{rowid} = o.{rowid}))
ORDER BY at LIMIT 10
