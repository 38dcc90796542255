WITH RECURSIVE tree (id, above, depth) AS (
  SELECT i.inhrelid, i.inhparent, 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = {table}
  UNION ALL
  SELECT i.inhrelid, i.inhparent, tree.depth + 1 FROM tree JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.id)
SELECT n.nspname, c.relname, m.nspname, p.relname, c.relkind::pg_catalog.text
FROM tree JOIN pg_catalog.pg_class AS c ON c.oid = tree.id JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS p ON p.oid = tree.above JOIN pg_catalog.pg_namespace AS m ON m.oid = p.relnamespace
GROUP BY 1, 2, 3, 4, 5 ORDER BY pg_catalog.min(tree.depth), n.nspname COLLATE "C", c.relname COLLATE "C" LIMIT 1000
