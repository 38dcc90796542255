WITH orphan AS MATERIALIZED (
  SELECT c.ctid AS "segue place", {columns} FROM ONLY {table} AS c WHERE {window} AND {orphaned} FOR UPDATE OF c{skip}),
kept AS (INSERT INTO {kept} ({columns}) SELECT {columns} FROM orphan)
DELETE FROM ONLY {table} AS t USING orphan WHERE t.ctid OPERATOR(pg_catalog.=) orphan."segue place"
