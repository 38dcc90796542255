UNION ALL
  SELECT s.* FROM path p, dep d JOIN pg_catalog.pg_publication_rel r ON r.oid = d.objid
  JOIN pg_catalog.pg_publication b ON b.oid = r.prpubid, LATERAL (
    SELECT CASE WHEN pg_catalog.pg_has_role(b.pubowner, 'USAGE') THEN 'drop' ELSE 'refuse' END, 'publication',
      'the publication ' || b.pubname, 0, 0, pg_catalog.format('ALTER PUBLICATION %I DROP TABLE %s', b.pubname, {name})
    WHERE p.set IS NOT NULL
    UNION ALL
    SELECT 'create', 'publication', 'the publication ' || b.pubname, 0, 0,
      pg_catalog.format('ALTER PUBLICATION %I ADD TABLE %s%s%s', b.pubname, {name},
        (SELECT ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::pg_catalog.int2[])),
        ' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')')
    OFFSET 0) s
  WHERE d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
