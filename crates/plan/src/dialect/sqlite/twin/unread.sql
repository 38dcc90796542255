SELECT segue_fail('the schema is not what the plan was made for: ' || {what})
WHERE {wanted} <> (SELECT count(*) FROM main.sqlite_schema WHERE (type, name, sql) IN (VALUES {known}))
