SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0)
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_depend AS d ON d.deptype = 'n'
  AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid
    OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = t.reltype)
WHERE t.oid = {table}
  AND d.classid <> 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
  AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.conrelid IN (t.oid, {going}))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef AS f
    WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid AND f.adrelid = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p
    WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid AND p.polrelid = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
    WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid = d.objid AND g.tgrelid = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid AND r.ev_class = t.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = d.objid AND i.indrelid = t.oid)
ORDER BY 1 LIMIT 20
