{replaced}UPDATE OR IGNORE {to} SET ({rowid}, {columns}) = (SELECT {rowid}, {values} FROM {from} WHERE {from}.{rowid} = NEW.{rowid})
    WHERE {rowid} = OLD.{rowid} AND EXISTS (SELECT 1 FROM {from} AS segue_from WHERE segue_from.{rowid} = NEW.{rowid});
