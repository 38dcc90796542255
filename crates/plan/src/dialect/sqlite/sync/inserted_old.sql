CREATE TRIGGER {trigger} AFTER INSERT ON {table}
WHEN {absent} AND NOT ({follows})
BEGIN
  UPDATE {table} SET {values} WHERE {rowid} = NEW.{rowid};
END
