SELECT w.name FROM (VALUES {names}) AS w (name) WHERE EXISTS (
  SELECT FROM pg_catalog.pg_constraint AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.connamespace
  WHERE o.conname = w.name AND n.nspname = {schema})
OR EXISTS (
  SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relname = w.name AND n.nspname = {schema})
