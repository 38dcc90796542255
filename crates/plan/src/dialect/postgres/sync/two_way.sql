BEGIN
  IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
    IF {absent} THEN
      {forward}
    ELSE
      {back}
    END IF;
  ELSIF {new_changed} THEN
    {back}
  ELSIF {old_changed} THEN
    {forward}
  ELSIF {left_out} THEN
    {forward}
  END IF;
  RETURN NEW;
END
