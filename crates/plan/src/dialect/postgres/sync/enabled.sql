SELECT 'the trigger ' || pg_catalog.quote_ident(w.name) || CASE t.tgenabled
  WHEN 'D' THEN ' is disabled' WHEN 'O' THEN ' is enabled, but not ALWAYS' WHEN 'R' THEN ' is enabled for replicas alone'
  ELSE ' is missing' END
FROM (VALUES {names}) AS w(name)
LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = pg_catalog.to_regclass({table}) AND t.tgname = w.name
WHERE t.tgenabled IS DISTINCT FROM 'A'
