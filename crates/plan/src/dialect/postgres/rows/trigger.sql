CREATE TRIGGER {trigger} {when} ON {table} FOR EACH {each}
  WHEN ({guard})
  EXECUTE FUNCTION {function}()
