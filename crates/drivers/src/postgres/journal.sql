CREATE TABLE segue.meta (
  id boolean PRIMARY KEY DEFAULT true CHECK (id),
  format integer NOT NULL,
  system text NOT NULL,
  database text NOT NULL,
  timeline bigint NOT NULL,
  marker text,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
CREATE TABLE segue.migration (
  id text PRIMARY KEY,
  checksum text NOT NULL,
  plan text NOT NULL,
  hash text NOT NULL,
  state text NOT NULL,
  attempt integer NOT NULL,
  state_since timestamptz NOT NULL,
  changed_at timestamptz NOT NULL);
CREATE TABLE segue.event (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL,
  attempt integer NOT NULL,
  step integer NOT NULL,
  mark text NOT NULL,
  pid bigint NOT NULL,
  backend_start text NOT NULL,
  shape text NOT NULL,
  note text NOT NULL,
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
CREATE INDEX event_of_attempt ON segue.event (migration, attempt, seq);
CREATE TABLE segue.lease (
  migration text PRIMARY KEY,
  epoch bigint NOT NULL,
  holder text,
  pid bigint,
  backend_start text,
  claimed_at timestamptz);
CREATE TABLE segue.heartbeat (
  migration text PRIMARY KEY,
  epoch bigint NOT NULL,
  at timestamptz NOT NULL) WITH (fillfactor = 50);
