SELECT 'the trigger ' || pg_catalog.quote_ident(w.name) || ' of ' || w.of || CASE
  WHEN t.tgenabled IS NULL THEN ' is missing'
  ELSE ' is ' || CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'O' THEN 'enabled, but not ALWAYS' WHEN 'R' THEN 'enabled for replicas alone'
    ELSE 'enabled ALWAYS' END || ' and should be ' || CASE w.state WHEN 'D' THEN 'disabled' WHEN 'O' THEN 'enabled' ELSE 'enabled ALWAYS' END END
FROM (VALUES {wanted}) AS w(of, name, state)
LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = pg_catalog.to_regclass(w.of) AND t.tgname = w.name
WHERE t.tgenabled::pg_catalog.text IS DISTINCT FROM w.state
