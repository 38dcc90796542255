CREATE TRIGGER {trigger} BEFORE {events} ON {table} FOR EACH ROW
  WHEN ({guard})
  EXECUTE FUNCTION {function}()
