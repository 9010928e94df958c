/**
 * The full-text index: for each document, its value in one table and its terms in another, in blocks. A block is a small
 * index of its own, a `tsvector` in which a term's positions are the block's documents that hold it. It belongs to one
 * partition and one scope, and a search looks at all the blocks of the place that it is for: whatever others have is not
 * touched, and a document that goes leaves nothing behind.
 */
export const TEXT_TABLES = `
CREATE TABLE {schema}.texts (
  pk bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  partition bigint NOT NULL, collection text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  value text NOT NULL,
  UNIQUE (partition, collection, id)
) WITH (fillfactor = 80);

-- A document begins as a block of its own, which is replaced as a whole. Where there are many such blocks of a scope,
-- they are joined to one: then a position is a place in docs, and one that is empty is of a document that went.
CREATE TABLE {schema}.text_blocks (
  partition bigint NOT NULL, collection text COLLATE "C" NOT NULL,
  joined boolean NOT NULL DEFAULT false, pk bigint GENERATED ALWAYS AS IDENTITY,
  tenant text COLLATE "C" NOT NULL, scope text COLLATE "C" NOT NULL,
  docs bigint[] NOT NULL, orders float8[] NOT NULL, small boolean NOT NULL DEFAULT false, terms tsvector NOT NULL,
  PRIMARY KEY (partition, collection, joined, pk)
) WITH (fillfactor = 80);
CREATE INDEX text_blocks_by_scope ON {schema}.text_blocks (tenant, scope, collection);
-- Packing saves a fifth of the disk, and takes most of a search's time.
ALTER TABLE {schema}.text_blocks ALTER terms SET STORAGE EXTERNAL;

CREATE TABLE {schema}.text_vectors (
  doc bigint NOT NULL, model text COLLATE "C" NOT NULL, place int NOT NULL, key text COLLATE "C" NOT NULL,
  numbers real[] NOT NULL,
  -- Whether pgvector takes them.
  comparable boolean NOT NULL,
  PRIMARY KEY (doc, model, place)
);
ALTER TABLE {schema}.text_vectors ALTER numbers SET STORAGE EXTERNAL;

CREATE AGGREGATE {schema}.join_terms(tsvector) (sfunc = tsvector_concat, stype = tsvector, initcond = '');

-- Vectors are compared by pgvector. Whoever may not install it goes without.
DO $body$ BEGIN
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
    CREATE EXTENSION IF NOT EXISTS vector;
  END IF;
EXCEPTION WHEN OTHERS THEN NULL;
END $body$;
`;

/** What a document's terms are counted as in its block: a term of all, so that no document's place is without one. */
export const EVERY = '.';
/** So many blocks of one document each are joined to one. */
const JOINED = 32;
/** The bytes of terms that a document may have that is joined with others: a tsvector holds a megabyte. */
const SMALL_BYTES = 30_000;

/** Takes a document out of its blocks. */
const FORGET_TERMS = `
CREATE FUNCTION {schema}.forget_terms(my_partition bigint, my_collection text, doc bigint) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
  DELETE FROM {schema}.text_blocks t
    WHERE t.partition = my_partition AND t.collection = my_collection AND NOT t.joined AND t.docs = ARRAY[doc];
  IF FOUND THEN
    RETURN;
  END IF;
  UPDATE {schema}.text_blocks t SET docs = array_replace(t.docs, doc, NULL), terms = (
      SELECT coalesce(string_agg(format('%L:%s', u.lexeme, array_to_string(left_over.positions, ',')), ' '), '')::tsvector
        FROM unnest(t.terms) u, LATERAL (
          SELECT array_remove(u.positions, array_position(t.docs, doc)::smallint) AS positions) left_over
        WHERE cardinality(left_over.positions) > 0)
    WHERE t.partition = my_partition AND t.collection = my_collection AND t.joined AND t.docs @> ARRAY[doc];
  DELETE FROM {schema}.text_blocks t
    WHERE t.partition = my_partition AND t.collection = my_collection AND t.joined
      AND cardinality(array_remove(t.docs, NULL)) = 0;
END $body$;
`;

/** Joins the blocks of one document each, but not that of `latest`, which is the one that will be replaced next. */
const JOIN_BLOCKS = `
CREATE FUNCTION {schema}.join_blocks(my_partition bigint, my_tenant text, my_collection text, my_scope text, latest bigint)
RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
  IF (SELECT count(*) FROM {schema}.text_blocks t WHERE t.partition = my_partition AND t.collection = my_collection
      AND NOT t.joined AND t.small AND t.scope = my_scope) <= ${JOINED} THEN
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM {schema}.text_blocks t WHERE t.partition = my_partition AND t.collection = my_collection
      AND NOT t.joined AND t.small AND t.scope = my_scope AND t.docs <> ARRAY[latest] RETURNING t.*
  )
  INSERT INTO {schema}.text_blocks (partition, collection, joined, tenant, scope, docs, orders, terms)
    SELECT my_partition, my_collection, true, my_tenant, my_scope, array_agg(g.docs[1] ORDER BY g.docs[1]),
        array_agg(g.orders[1] ORDER BY g.docs[1]), {schema}.join_terms(g.terms ORDER BY g.docs[1])
      FROM gone g;
END $body$;
`;

/** Puts a document into the index. `what` has its id, scope, order and terms; many terms come in several parts. */
const INDEX_TEXT = `
CREATE FUNCTION {schema}.index_text(my_partition bigint, my_tenant text, my_collection text, my_value text, what json)
RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  doc bigint; my_scope text := what->>'scope';
BEGIN
  UPDATE {schema}.texts t SET value = my_value
    WHERE t.partition = my_partition AND t.collection = my_collection AND t.id = what->>'id' RETURNING t.pk INTO doc;
  IF FOUND THEN
    PERFORM {schema}.forget_terms(my_partition, my_collection, doc);
  ELSE
    INSERT INTO {schema}.texts AS t (partition, collection, id, value)
      VALUES (my_partition, my_collection, what->>'id', my_value) RETURNING t.pk INTO doc;
  END IF;
  INSERT INTO {schema}.text_blocks (partition, collection, tenant, scope, docs, orders, small, terms)
    SELECT my_partition, my_collection, my_tenant, my_scope, ARRAY[doc], ARRAY[(what->>'order')::float8],
        json_array_length(what->'parts') = 1 AND pg_column_size(s.terms) <= ${SMALL_BYTES}, s.terms
      FROM (SELECT p::tsvector AS terms FROM json_array_elements_text(what->'parts') p) s;
  PERFORM {schema}.join_blocks(my_partition, my_tenant, my_collection, my_scope, doc);
END $body$;
`;

/** Takes a document out of the index, or all of a collection; says how many went. */
const UNINDEX_TEXT = `
CREATE FUNCTION {schema}.unindex_text(my_partition bigint, my_collection text, my_id text) RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
  gone bigint[];
BEGIN
  WITH gone AS (
    DELETE FROM {schema}.texts t WHERE t.partition = my_partition AND t.collection = my_collection
      AND (my_id IS NULL OR t.id = my_id) RETURNING t.pk
  )
  SELECT coalesce(array_agg(g.pk), '{}') INTO gone FROM gone g;
  DELETE FROM {schema}.text_vectors v USING unnest(gone) g(pk) WHERE v.doc = g.pk;
  IF my_id IS NULL THEN
    DELETE FROM {schema}.text_blocks t WHERE t.partition = my_partition AND t.collection = my_collection;
  ELSIF cardinality(gone) = 1 THEN
    PERFORM {schema}.forget_terms(my_partition, my_collection, gone[1]);
  END IF;
  RETURN cardinality(gone);
END $body$;
`;

/** Gives a document its vectors of one model: of each its key, its numbers, and whether they can be compared. */
const EMBED_TEXT = `
CREATE FUNCTION {schema}.embed_text(my_partition bigint, my_collection text, my_id text, what json) RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
  my_doc bigint;
BEGIN
  SELECT t.pk INTO my_doc FROM {schema}.texts t
    WHERE t.partition = my_partition AND t.collection = my_collection AND t.id = my_id;
  DELETE FROM {schema}.text_vectors v WHERE v.doc = my_doc AND v.model = what->>'model';
  INSERT INTO {schema}.text_vectors (doc, model, place, key, numbers, comparable)
    SELECT my_doc, what->>'model', n, v->>0, (v->>1)::real[], (v->>2)::boolean
      FROM json_array_elements(what->'vectors') WITH ORDINALITY e(v, n) WHERE my_doc IS NOT NULL;
END $body$;
`;

/** In place of the one before the index was. */
const DROP_PARTITION = `
CREATE OR REPLACE FUNCTION {schema}.drop_partition(gone bigint, place bigint) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  log_pk bigint;
BEGIN
  INSERT INTO {schema}.dropped_partitions (pk, tenant, type, id, position)
    SELECT t.pk, t.tenant, t.type, t.id, place FROM {schema}.partitions t WHERE t.pk = gone;
  FOR log_pk IN SELECT t.pk FROM {schema}.logs t WHERE t.partition = gone LOOP
    DELETE FROM {schema}.entries t WHERE t.log = log_pk;
  END LOOP;
  DELETE FROM {schema}.logs t WHERE t.partition = gone;
  DELETE FROM {schema}.index_entries t WHERE t.partition = gone;
  DELETE FROM {schema}.records t WHERE t.partition = gone;
  DELETE FROM {schema}.text_vectors v USING {schema}.texts t WHERE t.partition = gone AND v.doc = t.pk;
  DELETE FROM {schema}.texts t WHERE t.partition = gone;
  DELETE FROM {schema}.text_blocks t WHERE t.partition = gone;
  DELETE FROM {schema}.partitions t WHERE t.pk = gone;
END $body$;
`;

const PLANS = `
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off SET extra_float_digits = 1`;

/**
 * The blocks of a partition or, with a scope, of that: their documents and orders (JSON arrays), and which of the terms
 * stand where in them, as a tsvector is written.
 */
const FIND_TERMS = `
CREATE FUNCTION {schema}.find_terms(
  my_tenant text, my_type text, my_partition text, my_scope text, my_collection text, my_terms text[]
) RETURNS TABLE (docs text, orders text, found text) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
BEGIN
  IF my_scope IS NOT NULL THEN
    RETURN QUERY SELECT array_to_json(t.docs)::text, array_to_json(t.orders)::text,
        ts_filter(setweight(t.terms, 'A', my_terms), '{a}')::text
      FROM {schema}.text_blocks t WHERE t.tenant = my_tenant AND t.scope = my_scope AND t.collection = my_collection;
  ELSE
    RETURN QUERY SELECT array_to_json(t.docs)::text, array_to_json(t.orders)::text,
        ts_filter(setweight(t.terms, 'A', my_terms), '{a}')::text
      FROM {schema}.partitions p JOIN {schema}.text_blocks t ON t.partition = p.pk AND t.collection = my_collection
      WHERE p.tenant = my_tenant AND p.type = my_type AND p.id = my_partition;
  END IF;
END $body$;
`;

/**
 * Documents with their names and, where a model is given, their vectors: the first so many by rank and then by name, and
 * those that are near.
 */
const GET_TEXTS = `
CREATE FUNCTION {schema}.get_texts(my_docs bigint[], my_ranks int[], are_near boolean[], most int, my_model text)
RETURNS TABLE (doc bigint, tenant text, type text, partition text, id text, value text, vectors text)
LANGUAGE plpgsql STABLE ${PLANS} AS $body$
BEGIN
  RETURN QUERY SELECT s.pk, s.tenant, s.type, s.partition, s.id, s.value, (
      SELECT json_agg(json_build_array(v.key, encode(array_send(v.numbers), 'base64')) ORDER BY v.place)::text
        FROM {schema}.text_vectors v WHERE v.doc = s.pk AND v.model = my_model)
    FROM (SELECT t.pk, p.tenant, p.type, p.id AS partition, t.id, t.value, m.near,
        row_number() OVER (ORDER BY m.rank, p.tenant, p.type, p.id, t.id) AS place
      FROM unnest(my_docs, my_ranks, are_near) m(doc, rank, near) JOIN {schema}.texts t ON t.pk = m.doc
        JOIN {schema}.partitions p ON p.pk = t.partition) s
    WHERE s.place <= most OR s.near ORDER BY s.place;
END $body$;
`;

export const TEXT_FUNCTIONS = [
  FORGET_TERMS,
  JOIN_BLOCKS,
  INDEX_TEXT,
  UNINDEX_TEXT,
  EMBED_TEXT,
  DROP_PARTITION,
  FIND_TERMS,
  GET_TEXTS,
].join('');
