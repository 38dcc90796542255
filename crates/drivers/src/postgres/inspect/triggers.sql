SELECT g.tgrelid, g.tgname, (g.tgtype & 3) = 3, g.tgenabled, pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
WHERE NOT g.tgisinternal AND {scope}
ORDER BY g.tgrelid, g.tgname COLLATE "C"
