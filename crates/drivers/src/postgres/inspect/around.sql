-- The tables named, what shares their columns up and down, what foreign keys lead to or come from there, and what shares the
-- columns of those.
WITH RECURSIVE near(oid, far) AS (
  SELECT c.oid, false FROM pg_class c WHERE c.oid IN ({named})
  UNION
  SELECT x.oid, n.far OR x.far
  FROM near n CROSS JOIN LATERAL (
    SELECT i.inhparent AS oid, false AS far FROM pg_inherits i WHERE i.inhrelid = n.oid
    UNION ALL SELECT i.inhrelid, false FROM pg_inherits i WHERE i.inhparent = n.oid
    UNION ALL SELECT o.confrelid, true FROM pg_constraint o WHERE o.conrelid = n.oid AND o.contype = 'f' AND NOT n.far
    UNION ALL SELECT o.conrelid, true FROM pg_constraint o WHERE o.confrelid = n.oid AND o.contype = 'f' AND NOT n.far) x)
SELECT DISTINCT n.oid::text FROM near n JOIN pg_class c ON c.oid = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
