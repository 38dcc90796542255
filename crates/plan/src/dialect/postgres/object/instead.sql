SELECT line FROM (
  SELECT 1, pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger AS t
  WHERE t.tgrelid = pg_catalog.to_regclass({object}) AND NOT t.tgisinternal
  UNION ALL
  SELECT 2, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), '; ') FROM pg_catalog.pg_rewrite AS r
  WHERE r.ev_class = pg_catalog.to_regclass({object}) AND r.rulename <> '_RETURN'
) AS p(at, line) ORDER BY p.at, p.line
