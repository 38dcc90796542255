CREATE TRIGGER {trigger} AFTER UPDATE ON {table}
BEGIN
  {replaced}DELETE FROM {copy} WHERE {rowid} IN (OLD.{rowid}, NEW.{rowid});
  INSERT OR REPLACE INTO {copy} ({rowid}, {columns})
    SELECT {rowid}, {columns} FROM {table} WHERE {rowid} IN (OLD.{rowid}, NEW.{rowid});
END
