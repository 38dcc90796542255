SELECT pg_catalog.format('ALTER PUBLICATION %I SET (publish = %L, publish_via_partition_root = %s)', p.pubname,
  pg_catalog.concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), p.pubviaroot)
FROM pg_catalog.pg_publication AS p WHERE '"' || pg_catalog.replace(p.pubname, '"', '""') || '"' = {object}
