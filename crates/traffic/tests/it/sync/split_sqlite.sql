BEGIN IMMEDIATE;
ALTER TABLE people ADD COLUMN full_name text;
ALTER TABLE people ADD COLUMN m integer NOT NULL DEFAULT 0;
CREATE TRIGGER io AFTER INSERT ON people
WHEN NEW.full_name IS NULL
BEGIN
  UPDATE people SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, ''), m = NOT m WHERE id = NEW.id;
END;
CREATE TRIGGER "in" AFTER INSERT ON people
WHEN NEW.full_name IS NOT NULL AND NEW.full_name IS NOT (coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, ''))
BEGIN
  UPDATE people SET first_name = substr(full_name, 1, instr(full_name || ' ', ' ') - 1),
                    last_name = substr(full_name, instr(full_name || ' ', ' ') + 1), m = NOT m WHERE id = NEW.id;
END;
CREATE TRIGGER un AFTER UPDATE OF first_name, last_name, full_name ON people
WHEN NEW.m IS OLD.m AND NEW.full_name IS NOT OLD.full_name
 AND NEW.full_name IS NOT (coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, ''))
BEGIN
  UPDATE people SET first_name = substr(full_name, 1, instr(full_name || ' ', ' ') - 1),
                    last_name = substr(full_name, instr(full_name || ' ', ' ') + 1), m = NOT m WHERE id = NEW.id;
END;
CREATE TRIGGER uo AFTER UPDATE OF first_name, last_name, full_name ON people
WHEN NEW.m IS OLD.m AND NEW.full_name IS OLD.full_name
 AND (NEW.first_name IS NOT OLD.first_name OR NEW.last_name IS NOT OLD.last_name)
 AND NEW.full_name IS NOT (coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, ''))
BEGIN
  UPDATE people SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, ''), m = NOT m WHERE id = NEW.id;
END;
COMMIT;
