CREATE TABLE IF NOT EXISTS main.segue_checkpoint (
  migration TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL, pass INTEGER NOT NULL,
  next_bound TEXT, end_bound TEXT NOT NULL, spans INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL,
  rows INTEGER NOT NULL, PRIMARY KEY (migration, attempt, step)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.segue_span (
  migration TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL, number INTEGER NOT NULL,
  pass INTEGER NOT NULL, next_bound TEXT, end_bound TEXT NOT NULL, done INTEGER NOT NULL, rows INTEGER NOT NULL,
  waits INTEGER NOT NULL, pid INTEGER, backend_start TEXT,
  PRIMARY KEY (migration, attempt, step, number)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.segue_quarantine (
  migration TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL, row_key TEXT NOT NULL,
  column_name TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (migration, attempt, step, row_key, column_name)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.segue_control (
  migration TEXT NOT NULL PRIMARY KEY, paused_by TEXT, tuning TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS main.segue_report (
  migration TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL)
