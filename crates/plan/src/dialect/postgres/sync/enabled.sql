SELECT 'the trigger ' || pg_catalog.quote_ident(w.name) || ' is missing or not enabled ALWAYS'
FROM (VALUES {names}) AS w(name)
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_trigger AS t
  WHERE t.tgrelid = pg_catalog.to_regclass({table}) AND t.tgname = w.name AND t.tgenabled = 'A')
