SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' uses ' || pg_catalog.quote_ident(a.attname)
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
LEFT JOIN pg_catalog.pg_trigger AS t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = pg_catalog.to_regclass({table})
  AND a.attname IN ({columns}) AND d.deptype = 'n'
  AND (t.tgname IS NULL OR (t.tgname NOT LIKE '~segue\_%' AND t.tgname NOT LIKE '!segue\_%'))
ORDER BY 1 LIMIT 20
