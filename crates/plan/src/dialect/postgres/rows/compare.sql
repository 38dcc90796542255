SELECT pg_catalog.count(*) FILTER (WHERE x.holds), pg_catalog.sum(x.must) FILTER (WHERE x.holds)::pg_catalog.text,
  pg_catalog.count(*) FILTER (WHERE x.there), pg_catalog.sum(x.has) FILTER (WHERE x.there)::pg_catalog.text
FROM (SELECT {holds} AS holds, {there} AS there, {must} AS must, {has} AS has
  {both}) AS x
