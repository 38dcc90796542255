SELECT w.name FROM (VALUES {names}) AS w (name) WHERE EXISTS (
  SELECT FROM pg_catalog.pg_constraint AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.connamespace
  WHERE o.conname = w.name AND n.nspname = {schema})
