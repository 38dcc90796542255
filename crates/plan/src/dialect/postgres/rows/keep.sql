CREATE TABLE {keeps} AS SELECT t.* FROM {target} AS t
WHERE NOT EXISTS (SELECT FROM {source} AS s WHERE {matches} AND {is_back}){extra}
