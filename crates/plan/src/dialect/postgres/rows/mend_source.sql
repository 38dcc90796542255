UPDATE {source} AS s SET {takes}
FROM (SELECT {keys}, {values} {both} WHERE {unrelated} OR {missed}) AS w
WHERE {is}
