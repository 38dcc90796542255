SELECT DISTINCT COALESCE(n.label, k.label) || CASE WHEN k.label IS NULL THEN ' has come or changed' ELSE ' has gone or changed' END
  || ' since the plan was made'
FROM (SELECT q.label, q.text FROM (
{now}
) AS q(act, kind, label, text) WHERE q.act <> 'drop') AS n
FULL JOIN (SELECT v.* FROM (VALUES {known}) AS v(label, text) WHERE v.label IS NOT NULL) AS k
  ON k.label = n.label AND k.text = n.text
WHERE k.label IS NULL OR n.label IS NULL
ORDER BY 1 LIMIT 20
