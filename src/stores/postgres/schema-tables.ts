/**
 * The tables. `{schema}` stands for the quoted schema. Texts sort by their bytes, whatever the database's locale is.
 * Pages are left room where rows are changed in place, so that a change touches no index.
 */
export const TABLES = `
CREATE TABLE {schema}.meta (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  schema_version int NOT NULL,
  -- What is added to a transaction id to make a position in the journal. Another one after each start of the server,
  -- so that no position is given out twice, whatever it has lost.
  shift bigint NOT NULL DEFAULT 0,
  -- What is added to the sequence of versions: more than 0 where a version was given that was beyond it.
  version_base bigint NOT NULL DEFAULT 0,
  trimmed_position bigint NOT NULL DEFAULT 0,
  trimmed_count int NOT NULL DEFAULT 0
);
INSERT INTO {schema}.meta (schema_version) VALUES (1);
CREATE SEQUENCE {schema}.versions;

-- Has a row while the server runs that the shift is for: what is not logged is gone after a crash.
CREATE UNLOGGED TABLE {schema}.epoch (server_start timestamptz PRIMARY KEY);

CREATE TABLE {schema}.partitions (
  pk bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  expires_at bigint,
  UNIQUE (tenant, type, id)
) WITH (fillfactor = 80);
CREATE INDEX partitions_by_type ON {schema}.partitions (type, tenant, id);
CREATE INDEX partitions_by_expiry ON {schema}.partitions (expires_at, pk) WHERE expires_at IS NOT NULL;

CREATE TABLE {schema}.records (
  partition bigint NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  version bigint NOT NULL, counter boolean NOT NULL, indexed boolean NOT NULL, value text NOT NULL,
  PRIMARY KEY (partition, kind, id)
) WITH (fillfactor = 80);

-- An index takes no more than 2704 bytes a row: where more names stand together, it has a hash of some.
CREATE TABLE {schema}.index_entries (
  tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
  position float8 NOT NULL,
  partition bigint NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  place bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(key, hashtextextended(name, 0))) STORED,
  PRIMARY KEY (place, tenant, position, partition, kind, id)
);
CREATE INDEX index_entries_by_record ON {schema}.index_entries (partition, kind, id);

-- Where each log stands. A row is written with every append: half of each page is left for that.
CREATE TABLE {schema}.logs (
  pk bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  partition bigint NOT NULL, name text COLLATE "C" NOT NULL,
  first bigint NOT NULL, last bigint NOT NULL, count bigint NOT NULL,
  UNIQUE (partition, name)
) WITH (fillfactor = 50);

CREATE TABLE {schema}.entries (
  log bigint NOT NULL, seq bigint NOT NULL, version int NOT NULL,
  mark text COLLATE "C", given_id text COLLATE "C", value text NOT NULL,
  PRIMARY KEY (log, seq)
) PARTITION BY HASH (log);
CREATE UNIQUE INDEX entries_by_given_id ON {schema}.entries (log, given_id) WHERE given_id IS NOT NULL;
CREATE INDEX entries_by_mark ON {schema}.entries (log, mark, seq) WHERE mark IS NOT NULL;
{entry_tables}

-- A row for each transaction that changed something: a JSON array with a change for each of its batches. Where it was
-- written before the seqs were known, they count on from the last seqs of the logs, which are listed in bases.
CREATE TABLE {schema}.journal (
  position bigint PRIMARY KEY, at bigint NOT NULL, changes text NOT NULL, bases text
);

-- Names of partitions that are gone, for as long as the journal speaks of them.
CREATE TABLE {schema}.dropped_partitions (
  pk bigint PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  position bigint NOT NULL
);
CREATE INDEX dropped_partitions_by_position ON {schema}.dropped_partitions (position);

-- Receipts of batches that have an id. They outlive their partition: a drop has one, too.
CREATE TABLE {schema}.batches (
  tenant text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, partition text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL, position bigint NOT NULL, receipt text NOT NULL,
  digest bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(id, 0)) STORED,
  PRIMARY KEY (tenant, type, partition, digest)
);
CREATE INDEX batches_by_position ON {schema}.batches (position);

-- The last answer to each lane of each opened store: who did not get it asks again, and nothing is done twice.
CREATE TABLE {schema}.writers (
  writer text COLLATE "C" NOT NULL, lane int NOT NULL, turn bigint NOT NULL, at bigint NOT NULL, reply text NOT NULL,
  PRIMARY KEY (writer, lane)
) WITH (fillfactor = 20);
`;
