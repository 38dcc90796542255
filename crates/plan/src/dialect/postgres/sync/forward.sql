BEGIN
  {forward}
  RETURN NEW;
END
