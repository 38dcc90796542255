SELECT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', n.nspname, pg_catalog.pg_get_userbyid(n.nspowner))
FROM pg_catalog.pg_namespace AS n WHERE '"' || pg_catalog.replace(n.nspname, '"', '""') || '"' = {object}
