SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' uses it'
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = {table} AND a.attname = {column}
  AND d.deptype = 'n'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS along
    WHERE along.classid = d.classid AND along.objid = d.objid AND along.refclassid = d.refclassid
      AND along.refobjid = d.refobjid AND along.refobjsubid = d.refobjsubid AND along.deptype IN ('a', 'i'))
ORDER BY 1 LIMIT 20
