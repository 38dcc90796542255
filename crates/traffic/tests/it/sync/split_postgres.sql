ALTER TABLE people ADD COLUMN full_name text;
CREATE FUNCTION sync_people() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.full_name IS NULL THEN
      NEW.full_name := concat_ws(' ', NEW.first_name, NEW.last_name);
    ELSE
      NEW.first_name := split_part(NEW.full_name, ' ', 1);
      NEW.last_name := split_part(NEW.full_name, ' ', 2);
    END IF;
  ELSIF NEW.full_name IS DISTINCT FROM OLD.full_name THEN
    NEW.first_name := split_part(NEW.full_name, ' ', 1);
    NEW.last_name := split_part(NEW.full_name, ' ', 2);
  ELSIF NEW.first_name IS DISTINCT FROM OLD.first_name OR NEW.last_name IS DISTINCT FROM OLD.last_name
     OR NEW.full_name IS NULL THEN
    NEW.full_name := concat_ws(' ', NEW.first_name, NEW.last_name);
  END IF;
  RETURN NEW;
END $f$;
CREATE TRIGGER "~ins" BEFORE INSERT ON people FOR EACH ROW
  WHEN (NEW.full_name IS DISTINCT FROM concat_ws(' ', NEW.first_name, NEW.last_name)) EXECUTE FUNCTION sync_people();
CREATE TRIGGER "~upd" BEFORE UPDATE ON people FOR EACH ROW
  WHEN (NEW.full_name IS DISTINCT FROM concat_ws(' ', NEW.first_name, NEW.last_name)) EXECUTE FUNCTION sync_people();
