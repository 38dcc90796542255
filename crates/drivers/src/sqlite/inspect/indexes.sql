-- Key columns of indexes of ordinary tables.
SELECT t.name, i.name, i."unique", i.origin, i.seq, k.seqno, k.name, k."desc", k.coll
FROM main.sqlite_schema AS t
JOIN pragma_index_list(t.name, 'main') AS i
JOIN pragma_index_xinfo(i.name, 'main') AS k
WHERE t.type = 'table' AND t.rootpage > 0 AND k.key = 1
ORDER BY t.name, i.seq DESC, k.seqno
