NOT EXISTS (SELECT FROM {source} AS s WHERE {matches} AND {holds})
