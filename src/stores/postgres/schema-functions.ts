/** Functions that reading and committing are made of. Each reads on one snapshot: that of the statement that calls it. */
const PLANS = `
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off`;

/** A counter's fields after adding; null where one would be beyond what a number holds. */
const ADD_COUNTERS = `
CREATE FUNCTION {schema}.add_counters(fields text, deltas text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
BEGIN
  RETURN (SELECT CASE WHEN count(*) FILTER (WHERE s.total IS NULL) = 0
    THEN '{' || coalesce(string_agg(to_json(s.field)::text || ':' || to_json(s.total)::text, ',' ORDER BY s.a, s.b), '')
      || '}' END
  FROM (SELECT coalesce(f.field, d.field) AS field, f.place AS a, d.place AS b,
      CASE WHEN abs(coalesce(f.n::float8, 0) / 2 + coalesce(d.n::float8, 0) / 2) <= 8.988465674311579e307
        THEN coalesce(f.n::float8, 0) + coalesce(d.n::float8, 0) END AS total
    FROM json_each_text(coalesce(fields, '{}')::json) WITH ORDINALITY f(field, n, place)
    FULL JOIN json_each_text(deltas::json) WITH ORDINALITY d(field, n, place) ON d.field = f.field) s);
END $body$;
`;

const DROP_PARTITION = `
CREATE FUNCTION {schema}.drop_partition(gone bigint, place bigint) RETURNS void LANGUAGE plpgsql AS $body$
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
  DELETE FROM {schema}.partitions t WHERE t.pk = gone;
END $body$;
`;

const GET_RECORDS = `
CREATE FUNCTION {schema}.get_records(tenants text[], types text[], partitions text[], kinds text[], ids text[])
RETURNS TABLE (place int, version bigint, value text) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
BEGIN
  RETURN QUERY SELECT k, r.version, r.value FROM generate_series(1, cardinality(ids)) k
    JOIN {schema}.partitions p ON p.tenant = tenants[k] AND p.type = types[k] AND p.id = partitions[k]
    JOIN {schema}.records r ON r.partition = p.pk AND r.kind = kinds[k] AND r.id = ids[k];
END $body$;
`;

/** Begins the reading of a log. The first row is its bounds: its first seq, its last, and how many entries there are. */
const GIVE_BOUNDS = `
  SELECT g.pk, g.first, g.last, g.count INTO log FROM {schema}.partitions p
    JOIN {schema}.logs g ON g.partition = p.pk AND g.name = my_log
    WHERE p.tenant = my_tenant AND p.type = my_type AND p.id = my_partition;
  IF log.pk IS NULL THEN
    RETURN;
  END IF;
  seq := log.first; version := log.last; mark := log.count;
  RETURN NEXT;`;

const READ_LOG = `
CREATE FUNCTION {schema}.read_log(
  my_tenant text, my_type text, my_partition text, my_log text, after bigint, before bigint, most bigint,
  newest boolean, my_mark text, my_ids text[]
) RETURNS TABLE (seq bigint, version bigint, mark text, given_id text, value text) LANGUAGE plpgsql STABLE ${PLANS}
AS $body$
DECLARE
  log record; k bigint;
BEGIN${GIVE_BOUNDS}
  IF most = 0 OR log.count = 0 THEN
    RETURN;
  ELSIF my_ids IS NOT NULL THEN
    k := log.pk;
    RETURN QUERY SELECT DISTINCT ON (s.seq * s.direction) s.seq, s.version::bigint, s.mark, s.given_id, s.value
      FROM (SELECT CASE WHEN newest THEN -1 ELSE 1 END AS direction, e.*
        FROM unnest(my_ids) i(id) JOIN {schema}.entries e ON e.log = k AND e.given_id = i.id
        WHERE e.seq > after AND e.seq < before AND (my_mark IS NULL OR e.mark = my_mark)) s
      ORDER BY s.seq * s.direction LIMIT most;
  ELSIF my_mark IS NOT NULL AND newest THEN
    RETURN QUERY SELECT e.seq, e.version::bigint, e.mark, e.given_id, e.value FROM {schema}.entries e
      WHERE e.log = log.pk AND e.mark = my_mark AND e.seq > after AND e.seq < before ORDER BY e.seq DESC LIMIT most;
  ELSIF my_mark IS NOT NULL THEN
    RETURN QUERY SELECT e.seq, e.version::bigint, e.mark, e.given_id, e.value FROM {schema}.entries e
      WHERE e.log = log.pk AND e.mark = my_mark AND e.seq > after AND e.seq < before ORDER BY e.seq LIMIT most;
  ELSIF newest THEN
    RETURN QUERY SELECT e.seq, e.version::bigint, e.mark, e.given_id, e.value FROM {schema}.entries e
      WHERE e.log = log.pk AND e.seq > after AND e.seq < before ORDER BY e.seq DESC LIMIT most;
  ELSE
    RETURN QUERY SELECT e.seq, e.version::bigint, e.mark, e.given_id, e.value FROM {schema}.entries e
      WHERE e.log = log.pk AND e.seq > after AND e.seq < before ORDER BY e.seq LIMIT most;
  END IF;
END $body$;
`;

/**
 * Reads runs of seqs. The planner would rather go through all of the log: that the runs are looked up one by one is
 * what `OFFSET 0` says, and that what is found is sorted, that the order is an expression's.
 */
export const READ_RUNS = `
CREATE FUNCTION {schema}.read_runs(
  my_tenant text, my_type text, my_partition text, my_log text, firsts bigint[], lasts bigint[], most bigint,
  newest boolean, my_mark text
) RETURNS TABLE (seq bigint, version bigint, mark text, given_id text, value text) LANGUAGE plpgsql STABLE ${PLANS}
AS $body$
DECLARE
  log record;
BEGIN${GIVE_BOUNDS}
  RETURN QUERY SELECT f.seq, f.version::bigint, f.mark, f.given_id, f.value
    FROM unnest(firsts, lasts) r(first, last) CROSS JOIN LATERAL (
      SELECT e.* FROM {schema}.entries e WHERE e.log = log.pk AND e.seq BETWEEN r.first AND r.last OFFSET 0
    ) f
    WHERE my_mark IS NULL OR f.mark = my_mark
    ORDER BY f.seq * CASE WHEN newest THEN -1 ELSE 1 END LIMIT most;
END $body$;
`;

/**
 * Makes sure that no position is given out twice. What a crash took, a backup did not have or a standby was not sent
 * had positions too, and those who heard of them may come back: so positions go on from the time in microseconds, which
 * is beyond all that were given out before. `epoch` loses its row in every crash, and knows of every restart: until it
 * has a new one, all who commit meet at the row of `meta`. Nobody is under way then with a shift from before.
 */
const BEGIN_EPOCH = `
CREATE FUNCTION {schema}.begin_epoch() RETURNS bigint LANGUAGE plpgsql ${PLANS} AS $body$
DECLARE
  answer bigint; last bigint;
BEGIN
  SELECT m.shift INTO answer FROM {schema}.meta m FOR UPDATE;
  SELECT greatest(m.trimmed_position, (SELECT max(j.position) FROM {schema}.journal j),
    (SELECT max(b.position) FROM {schema}.batches b)) INTO last FROM {schema}.meta m;
  IF last >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + answer
      OR NOT EXISTS (SELECT FROM {schema}.epoch e WHERE e.server_start = pg_postmaster_start_time()) THEN
    answer := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, last + 1)
      - pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
    UPDATE {schema}.meta m SET shift = answer;
    DELETE FROM {schema}.epoch;
    INSERT INTO {schema}.epoch (server_start) VALUES (pg_postmaster_start_time());
  END IF;
  RETURN answer;
END $body$;
`;

/** The last change before a horizon: its transaction's position, and how many changes that has. */
const JOURNAL_END = `
CREATE FUNCTION {schema}.journal_end(horizon bigint, OUT place bigint, OUT told int) LANGUAGE plpgsql STABLE ${PLANS}
AS $body$
BEGIN
  SELECT j.position, json_array_length(j.changes::json) INTO place, told FROM {schema}.journal j
    WHERE j.position < horizon ORDER BY j.position DESC LIMIT 1;
  IF place IS NULL THEN
    SELECT m.trimmed_position, m.trimmed_count INTO place, told FROM {schema}.meta m;
  END IF;
END $body$;
`;

/**
 * The journal from a position on, up to the horizon: there, a transaction may still be under way that has an earlier
 * place than others that can be seen already. The first row has no change: it is where the journal begins, the next
 * transaction's position, and in place of changes how many changes were trimmed there, whether there are commits beyond
 * the horizon, and whether the journal has the position.
 */
const READ_JOURNAL = `
CREATE FUNCTION {schema}.read_journal(from_position bigint, most bigint)
RETURNS TABLE (place bigint, at bigint, changes text, bases text) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
DECLARE
  meta record; horizon bigint;
BEGIN
  SELECT m.shift, m.trimmed_position, m.trimmed_count INTO meta FROM {schema}.meta m;
  horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint + meta.shift;
  place := meta.trimmed_position; at := pg_snapshot_xmax(pg_current_snapshot())::text::bigint + meta.shift;
  changes := json_build_array(meta.trimmed_count,
    EXISTS (SELECT FROM {schema}.journal j WHERE j.position >= horizon),
    EXISTS (SELECT FROM {schema}.journal j WHERE j.position = from_position));
  RETURN NEXT;
  RETURN QUERY SELECT j.position, j.at, j.changes, j.bases FROM {schema}.journal j
    WHERE j.position >= coalesce(from_position, meta.trimmed_position) AND j.position < horizon
    ORDER BY j.position LIMIT most;
END $body$;
`;

/** The same with what is beyond the horizon: all that can be seen, and nothing says what may still come between. */
export const READ_AHEAD = `
CREATE FUNCTION {schema}.read_ahead(from_position bigint, most bigint)
RETURNS TABLE (place bigint, at bigint, changes text, bases text) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
BEGIN
  RETURN QUERY SELECT * FROM {schema}.read_journal(from_position, 0);
  RETURN QUERY SELECT j.position, j.at, j.changes, j.bases FROM {schema}.journal j
    WHERE j.position >= from_position ORDER BY j.position LIMIT most;
END $body$;
`;

/** Where the journal ends for who reads it now. */
const NEWEST_POSITION = `
CREATE FUNCTION {schema}.newest_position(OUT place bigint, OUT told int) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
BEGIN
  SELECT e.place, e.told INTO place, told
    FROM {schema}.meta m, {schema}.journal_end(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + m.shift) e;
END $body$;
`;

/** Forgets the journal before a position, and of the one at it so many changes; nothing that can't be read yet. */
const TRIM_JOURNAL = `
CREATE FUNCTION {schema}.trim_journal(upto bigint, upto_count int) RETURNS void LANGUAGE plpgsql ${PLANS} AS $body$
DECLARE
  newest record; bound bigint;
BEGIN
  PERFORM 1 FROM {schema}.meta FOR UPDATE;
  SELECT e.place, e.told INTO newest FROM {schema}.newest_position() e;
  -- A place beyond the last that can be read may be given out again after a crash.
  IF upto > newest.place THEN
    upto := newest.place; upto_count := newest.told;
  END IF;
  -- The row at the position goes where all of it is behind.
  SELECT upto + (json_array_length(j.changes::json) <= upto_count)::int INTO bound
    FROM {schema}.journal j WHERE j.position = upto;
  bound := coalesce(bound, upto);
  DELETE FROM {schema}.journal j WHERE j.position < bound;
  DELETE FROM {schema}.batches b WHERE b.position < bound;
  DELETE FROM {schema}.dropped_partitions d WHERE d.position < bound;
  UPDATE {schema}.meta m SET trimmed_position = upto, trimmed_count = upto_count
    WHERE (m.trimmed_position, m.trimmed_count) < (upto, upto_count);
END $body$;
`;

export const FUNCTIONS = [
  ADD_COUNTERS,
  DROP_PARTITION,
  GET_RECORDS,
  READ_LOG,
  BEGIN_EPOCH,
  JOURNAL_END,
  READ_JOURNAL,
  NEWEST_POSITION,
  TRIM_JOURNAL,
].join('');
