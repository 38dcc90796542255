SELECT {says} WHERE NOT EXISTS (
  SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND name = {name} AND sql IN ({created}, {renamed}))
