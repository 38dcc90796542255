-- Indexes. The definition names operator classes and collations only where they are not the default.
SELECT 'index ' || x.indexrelid::regclass || ': ' || pg_get_indexdef(x.indexrelid)
  || ', valid ' || x.indisvalid || ' ready ' || x.indisready || ' live ' || x.indislive
  || ', unique ' || x.indisunique || ' primary ' || x.indisprimary || ' exclusion ' || x.indisexclusion
  || ' immediate ' || x.indimmediate
  || ', clustered ' || x.indisclustered || ', replica identity ' || x.indisreplident
  || ', classes ' || (SELECT string_agg(o.opcname, ' ' ORDER BY e.i)
                      FROM unnest(x.indclass::oid[]) WITH ORDINALITY AS e (class, i) JOIN pg_opclass o ON o.oid = e.class)
  || ', options ' || coalesce((SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(c.reloptions) o), '-')
  || ', tablespace ' || coalesce((SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace), '-')
  || ', owner ' || pg_get_userbyid(c.relowner)
FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1
