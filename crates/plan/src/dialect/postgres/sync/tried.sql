DECLARE
  result {type};
BEGIN
  result := {expr};
  RETURN {fits};
EXCEPTION WHEN data_exception OR check_violation OR not_null_violation OR raise_exception THEN
  RETURN {fails};
END
