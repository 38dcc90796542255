SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' uses it'
FROM pg_catalog.pg_class AS v
JOIN pg_catalog.pg_depend AS d ON d.deptype = 'n'
  AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
    OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = v.reltype)
WHERE v.oid = pg_catalog.to_regclass({view}) AND v.relkind = 'v'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid AND r.ev_class = v.oid)
ORDER BY 1 LIMIT 20
