CREATE TRIGGER {trigger} AFTER {event} ON {from}
BEGIN
  {change}
  INSERT OR IGNORE INTO {miss} (segue_rowid)
    SELECT {from}.{rowid} FROM {from} WHERE {from}.{rowid} IN ({rows})
      AND NOT EXISTS (SELECT 1 FROM {to} AS segue_there WHERE segue_there.{rowid} = {from}.{rowid});
  INSERT OR IGNORE INTO {to} ({rowid}, {columns})
    SELECT {rowid}, {columns} FROM {from} WHERE {from}.{rowid} IN (SELECT segue_rowid FROM {miss})
      AND NOT EXISTS (SELECT 1 FROM {to} AS segue_there WHERE segue_there.{rowid} = {from}.{rowid}){free};
  DELETE FROM {miss} WHERE NOT EXISTS (SELECT 1 FROM {from} AS segue_from WHERE segue_from.{rowid} = segue_rowid)
    OR EXISTS (SELECT 1 FROM {to} AS segue_there WHERE segue_there.{rowid} = segue_rowid);
END
