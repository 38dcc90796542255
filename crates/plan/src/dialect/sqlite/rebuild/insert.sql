CREATE TRIGGER {trigger} AFTER INSERT ON {table}
BEGIN
  {replaced}DELETE FROM {copy} WHERE {rowid} = NEW.{rowid};
  INSERT OR REPLACE INTO {copy} ({rowid}, {columns})
    SELECT {rowid}, {columns} FROM {table} WHERE {rowid} = NEW.{rowid};
END
