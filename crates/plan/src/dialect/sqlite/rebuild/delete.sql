CREATE TRIGGER {trigger} AFTER DELETE ON {table}
BEGIN
  DELETE FROM {copy} WHERE {rowid} = OLD.{rowid};
  INSERT OR REPLACE INTO {copy} ({rowid}, {columns})
    SELECT {rowid}, {columns} FROM {table} WHERE {rowid} = OLD.{rowid};
END
