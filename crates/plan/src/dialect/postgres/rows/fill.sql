WITH picked AS (
  SELECT {reads} FROM {source} AS s
  WHERE {window} AND {holds} AND NOT EXISTS (SELECT FROM {target} AS t WHERE {matches})
  FOR NO KEY UPDATE OF s{skip}
)
INSERT INTO {target} ({names}) SELECT {values} FROM picked AS s
ON CONFLICT ({key}) DO NOTHING
