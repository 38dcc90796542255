-- Triggers with the text of their function, wherever it is; functions; rules; policies.
SELECT 'trigger ' || g.tgrelid::regclass || ' ' || g.tgname || ': ' || pg_get_triggerdef(g.oid)
  || ', enabled ' || g.tgenabled::text || ', function ' || g.tgfoid::regprocedure || ' ' || p.prosrc
FROM pg_trigger g
JOIN pg_proc p ON p.oid = g.tgfoid
JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND NOT g.tgisinternal
UNION ALL
-- The triggers of foreign keys have names that the server makes up: only whether they are enabled counts.
SELECT 'internal trigger of ' || k.conname || ' on ' || g.tgrelid::regclass || ': ' || p.proname || ', enabled '
  || g.tgenabled::text || ', deferrable ' || g.tgdeferrable || ' deferred ' || g.tginitdeferred
FROM pg_trigger g
JOIN pg_proc p ON p.oid = g.tgfoid
JOIN pg_constraint k ON k.oid = g.tgconstraint
JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND g.tgisinternal
UNION ALL
SELECT 'function ' || p.oid::regprocedure || ': owner ' || pg_get_userbyid(p.proowner) || ' ' || p.prokind::text || ' '
  || CASE WHEN p.prokind = 'a' THEN '' ELSE pg_get_functiondef(p.oid) END
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1
UNION ALL
SELECT 'rule ' || r.tablename || ' ' || r.rulename || ': ' || r.definition
  || ', enabled ' || (SELECT w.ev_enabled::text FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
                      JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE w.rulename = r.rulename AND c.relname = r.tablename AND n.nspname = r.schemaname)
FROM pg_rules r
WHERE r.schemaname = $1
UNION ALL
SELECT 'policy ' || p.tablename || ' ' || p.policyname || ': ' || p.permissive || ' for ' || p.cmd || ' to '
  || (SELECT string_agg(r::text, ' ' ORDER BY r) FROM unnest(p.roles) r)
  || ', using ' || coalesce(p.qual, '-') || ', check ' || coalesce(p.with_check, '-')
FROM pg_policies p
WHERE p.schemaname = $1
