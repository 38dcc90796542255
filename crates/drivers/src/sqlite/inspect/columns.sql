-- Columns of ordinary tables: a view may be broken and a virtual table's module missing, and either would fail the whole.
SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
FROM main.sqlite_schema AS t
JOIN pragma_table_xinfo(t.name, 'main') AS c
WHERE t.type = 'table' AND t.rootpage > 0
ORDER BY t.name, c.cid
