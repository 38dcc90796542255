SELECT count(*), coalesce(sum(NOT {related}), 0), coalesce(sum({missing}), 0) FROM {table} WHERE {window}
