SELECT o.conrelid, o.oid, o.conname, o.contype, n.nspname, c.relname, fn.nspname, f.relname,
  CASE WHEN COALESCE(k.at, 1) = 1 THEN pg_get_constraintdef(o.oid) END, o.convalidated, a.attname, b.attname
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
LEFT JOIN pg_class f ON f.oid = o.confrelid
LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
LEFT JOIN LATERAL unnest(o.conkey, o.confkey) WITH ORDINALITY AS k(own, other, at) ON true
LEFT JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.own AND k.own > 0
LEFT JOIN pg_attribute b ON b.attrelid = o.confrelid AND b.attnum = k.other AND k.other > 0
WHERE o.contype IN ('c', 'u', 'p', 'f', 'x') AND ({scope} OR o.contype = 'f' AND {scope_other})
ORDER BY o.conrelid, o.conname COLLATE "C", o.oid, k.at
