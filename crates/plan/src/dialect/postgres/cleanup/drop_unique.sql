DECLARE
  one pg_catalog.regclass;
BEGIN
  FOR one IN
    SELECT DISTINCT i.indexrelid FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
    WHERE i.indrelid = {table} AND i.indisunique AND a.attname IN ({columns})
  LOOP
    EXECUTE pg_catalog.format('DROP INDEX %s', one);
  END LOOP;
END
