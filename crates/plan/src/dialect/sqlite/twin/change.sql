{replaced}DELETE FROM {to} WHERE {rowid} IN ({rows});
  INSERT OR IGNORE INTO {to} ({rowid}, {columns})
    SELECT {rowid}, {columns} FROM {from} WHERE {from}.{rowid} IN ({rows}){free};
