SELECT {key} {both}
WHERE {unrelated} OR {missed} LIMIT 10
