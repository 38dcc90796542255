SELECT DISTINCT q.label || ' was made since the plan, and would stay with the new column'
FROM (
{now}
) AS q(act, kind, label, text)
WHERE q.act <> 'drop' AND q.label NOT IN ({known})
ORDER BY 1 LIMIT 20
