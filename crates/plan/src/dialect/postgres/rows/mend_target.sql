WITH wrong AS (
  SELECT {reads} {both}
  WHERE {unrelated} OR {missed} FOR NO KEY UPDATE OF s
), gone AS (
  DELETE FROM {target} AS t USING wrong AS s WHERE {matches} AND NOT ({holds})
)
INSERT INTO {target} AS t ({names}) SELECT {values} FROM wrong AS s WHERE {holds}
ON CONFLICT ({key}) DO UPDATE SET {takes}
