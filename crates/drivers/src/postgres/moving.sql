-- Rows that change with each window: short, many to a page, with room for their next versions beside them.
CREATE TABLE segue.checkpoint (
  migration text NOT NULL,
  attempt integer NOT NULL,
  step integer NOT NULL,
  pass integer NOT NULL,
  spans bigint NOT NULL,
  done bigint NOT NULL,
  total bigint NOT NULL,
  rows bigint NOT NULL,
  next_bound text,
  end_bound text NOT NULL,
  PRIMARY KEY (migration, attempt, step)) WITH (fillfactor = 50);
CREATE TABLE segue.span (
  migration text NOT NULL,
  attempt integer NOT NULL,
  step integer NOT NULL,
  number bigint NOT NULL,
  pass integer NOT NULL,
  pid integer,
  done bigint NOT NULL,
  rows bigint NOT NULL,
  waits boolean NOT NULL,
  next_bound text,
  end_bound text NOT NULL,
  backend_start text,
  PRIMARY KEY (migration, attempt, step, number)) WITH (fillfactor = 50);
-- A key of the application can be longer than an index takes: its digest stands for it.
CREATE TABLE segue.quarantine (
  migration text NOT NULL,
  attempt integer NOT NULL,
  step integer NOT NULL,
  digest bytea NOT NULL,
  row_key text NOT NULL,
  column_name text NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (migration, attempt, step, digest));
CREATE TABLE segue.control (
  migration text PRIMARY KEY,
  paused_by text,
  tuning text NOT NULL);
CREATE TABLE segue.report (
  migration text PRIMARY KEY,
  epoch bigint NOT NULL,
  at timestamptz NOT NULL,
  body text NOT NULL) WITH (fillfactor = 50);
