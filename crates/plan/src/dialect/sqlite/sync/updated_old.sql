CREATE TRIGGER {trigger} AFTER UPDATE OF {columns} ON {table}
WHEN {not_ours} AND NOT {new_changed} AND {old_changed} AND NOT ({follows})
BEGIN
  UPDATE {table} SET {values} WHERE {rowid} = NEW.{rowid};
END
