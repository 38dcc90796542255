SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE x.unrelated), pg_catalog.count(*) FILTER (WHERE x.missed)
FROM (SELECT {unrelated} AS unrelated, {missed} AS missed
  {both}) AS x
