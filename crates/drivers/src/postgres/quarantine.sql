INSERT INTO segue.quarantine (migration, attempt, step, digest, row_key, column_name, error)
SELECT $1, $2::int, (e.item ->> 0)::int,
  pg_catalog.sha256(pg_catalog.textsend(pg_catalog.length(e.item ->> 1)::text || ':' || (e.item ->> 1) || (e.item ->> 2))),
  e.item ->> 1, e.item ->> 2, e.item ->> 3
FROM pg_catalog.json_array_elements($3::json) AS e(item)
ON CONFLICT (migration, attempt, step, digest) DO UPDATE SET error = excluded.error
