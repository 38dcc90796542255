DECLARE
  result {type};
BEGIN
  result := {expr};
  RETURN false;
EXCEPTION WHEN data_exception OR check_violation OR not_null_violation OR raise_exception THEN
  RETURN true;
END
