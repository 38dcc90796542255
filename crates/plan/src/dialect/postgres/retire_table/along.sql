SELECT 'index', n.nspname::pg_catalog.text, c.relname::pg_catalog.text, NULL::pg_catalog.bool
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = {table}
UNION ALL
SELECT DISTINCT 'sequence', n.nspname::pg_catalog.text, s.relname::pg_catalog.text, NULL::pg_catalog.bool
FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = {table} AND d.deptype IN ('a', 'i')
UNION ALL
SELECT 'statistics', n.nspname::pg_catalog.text, s.stxname::pg_catalog.text, NULL::pg_catalog.bool
FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
WHERE s.stxrelid = {table}
UNION ALL
SELECT 'publication', '', p.pubname::pg_catalog.text, pg_catalog.pg_has_role(p.pubowner, 'USAGE')
FROM pg_catalog.pg_publication_rel AS r JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
WHERE r.prrelid = {table}
ORDER BY 1, 2, 3
