SELECT segue_fail('the schema is not what the plan was made for: ' || {what}) WHERE {count} <> {wanted}
