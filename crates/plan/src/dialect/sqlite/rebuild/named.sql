type IN ('view', 'trigger') AND substr(name, 1, 6) <> 'segue_' AND ({patterns})
  AND (name, replace(sql, '"', '')) NOT IN (VALUES {known})
  AND EXISTS (
    WITH RECURSIVE segue_reach(pattern) AS (
      VALUES ({table})
      UNION
      SELECT '*[^a-z0-9_$]'
        || replace(replace(replace(replace(lower(v.name), '[', '[[]'), '*', '[*]'), '?', '[?]'), '"', '*')
        || '[^a-z0-9_$]*'
      FROM segue_reach JOIN main.sqlite_schema AS v
        ON v.type = 'view' AND ' ' || replace(lower(v.sql), '"', ' ') || ' ' GLOB segue_reach.pattern)
    SELECT 1 FROM segue_reach WHERE ' ' || replace(lower(sql), '"', ' ') || ' ' GLOB segue_reach.pattern)
