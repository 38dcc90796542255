-- Comments and security labels on the schema and whatever is in it. Constraints, triggers and policies have no schema of
-- their own: they are found by their table's.
SELECT what || ' on ' || o.type || ' ' || o.identity || ': ' || text
FROM (
  SELECT 'comment' AS what, classoid, objoid, objsubid, description AS text FROM pg_description
  UNION ALL
  SELECT 'label ' || provider, classoid, objoid, objsubid, label FROM pg_seclabel
) d
CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) o
WHERE o.schema = $1
   OR (o.schema IS NULL AND (strpos(o.identity, ' on ' || quote_ident($1) || '.') > 0
                             OR (o.type = 'schema' AND o.identity = quote_ident($1))))
