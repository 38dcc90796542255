CREATE TABLE IF NOT EXISTS main.segue_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS main.segue_migration (
  id TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL, plan TEXT NOT NULL, hash TEXT NOT NULL,
  state TEXT NOT NULL, attempt INTEGER NOT NULL, state_at INTEGER NOT NULL, changed_at INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS main.segue_event (
  seq INTEGER PRIMARY KEY, migration TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL, mark TEXT NOT NULL,
  pid INTEGER NOT NULL, backend_start TEXT NOT NULL, shape TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS main.segue_lease (
  migration TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL, name TEXT, pid INTEGER, backend_start TEXT);

CREATE TABLE IF NOT EXISTS main.segue_heartbeat (
  migration TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL);

CREATE INDEX IF NOT EXISTS main.segue_event_of ON segue_event (migration, attempt, seq)
