ctid >= ('(' || $1::pg_catalog.int8 || ',0)')::pg_catalog.tid AND ctid < ('(' || $2::pg_catalog.int8 || ',0)')::pg_catalog.tid
