SELECT 'the copy has rows beyond the first or the last of the table'
WHERE (SELECT min({rowid}) FROM {copy}) < (SELECT min({rowid}) FROM {table})
   OR (SELECT max({rowid}) FROM {copy}) > (SELECT max({rowid}) FROM {table})
   OR (EXISTS (SELECT 1 FROM {copy}) AND NOT EXISTS (SELECT 1 FROM {table}))
