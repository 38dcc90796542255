-- Constraints of tables and domains, NOT NULL among them from 18 on. The operators of a foreign key are not in its text.
SELECT 'constraint ' || coalesce(k.conrelid::regclass::text, format_type(k.contypid, NULL)) || ' ' || k.conname
  || ': ' || pg_get_constraintdef(k.oid)
  || ', kind ' || k.contype::text
  || ', validated ' || k.convalidated
  || ', deferrable ' || k.condeferrable || ' deferred ' || k.condeferred
  || ', local ' || k.conislocal || ' inherited ' || k.coninhcount || ' no inherit ' || k.connoinherit
  || ', enforced ' || coalesce(to_jsonb(k)->>'conenforced', 'true')
  || ', operators ' || coalesce((SELECT string_agg(o::regoperator::text, ' ' ORDER BY i)
                                 FROM unnest(k.conpfeqop) WITH ORDINALITY AS e (o, i)), '-')
FROM (
  SELECT k.* FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1
  UNION ALL
  SELECT k.* FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE n.nspname = $1
  UNION ALL
  -- Foreign keys of other schemas that point here.
  SELECT k.* FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND k.connamespace <> n.oid
) k
