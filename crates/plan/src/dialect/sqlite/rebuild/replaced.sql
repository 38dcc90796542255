DELETE FROM {copy}
    WHERE ({keys}) = (SELECT {keys} FROM {table} WHERE {rowid} = NEW.{rowid})
      AND NOT EXISTS (SELECT 1 FROM {table} AS segue_there WHERE segue_there.{rowid} = {copy}.{rowid});
  
