FROM (SELECT * FROM {source} WHERE {window}) AS s LEFT JOIN {target} AS t ON {matches}
