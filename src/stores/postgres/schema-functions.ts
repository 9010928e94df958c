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

/** The first row is the log's bounds: its first seq, its last, and how many entries there are. */
const READ_LOG = `
CREATE FUNCTION {schema}.read_log(
  my_tenant text, my_type text, my_partition text, my_log text, after bigint, before bigint, most bigint,
  newest boolean, my_mark text, my_ids text[]
) RETURNS TABLE (seq bigint, version bigint, mark text, given_id text, value text) LANGUAGE plpgsql STABLE ${PLANS}
AS $body$
DECLARE
  log record; k bigint;
BEGIN
  SELECT g.pk, g.first, g.last, g.count INTO log FROM {schema}.partitions p
    JOIN {schema}.logs g ON g.partition = p.pk AND g.name = my_log
    WHERE p.tenant = my_tenant AND p.type = my_type AND p.id = my_partition;
  IF log.pk IS NULL THEN
    RETURN;
  END IF;
  seq := log.first; version := log.last; mark := log.count;
  RETURN NEXT;
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
 * The journal from a position on, up to the horizon: there, a transaction may still be under way that has an earlier
 * place than others that can be seen already. The first row has no change: it is where the journal begins, the
 * horizon, and in place of changes how many changes were trimmed there, the next transaction's position, and whether
 * there are commits beyond the horizon.
 */
const READ_JOURNAL = `
CREATE FUNCTION {schema}.read_journal(from_position bigint, most bigint)
RETURNS TABLE (place bigint, at bigint, changes text, bases text) LANGUAGE plpgsql STABLE ${PLANS} AS $body$
DECLARE
  meta record; horizon bigint;
BEGIN
  SELECT m.shift, m.trimmed_position, m.trimmed_count INTO meta FROM {schema}.meta m;
  horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint + meta.shift;
  place := meta.trimmed_position; at := horizon;
  changes := json_build_array(meta.trimmed_count, pg_snapshot_xmax(pg_current_snapshot())::text::bigint + meta.shift,
    EXISTS (SELECT FROM {schema}.journal j WHERE j.position >= horizon));
  RETURN NEXT;
  RETURN QUERY SELECT j.position, j.at, j.changes, j.bases FROM {schema}.journal j
    WHERE j.position >= coalesce(from_position, meta.trimmed_position) AND j.position < horizon
    ORDER BY j.position LIMIT most;
END $body$;
`;

/** Forgets the journal before a position, and of the one at it so many changes; never beyond the horizon. */
const TRIM_JOURNAL = `
CREATE FUNCTION {schema}.trim_journal(upto bigint, upto_count int) RETURNS void LANGUAGE plpgsql ${PLANS} AS $body$
DECLARE
  horizon bigint; bound bigint;
BEGIN
  PERFORM 1 FROM {schema}.meta FOR UPDATE;
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + m.shift INTO horizon FROM {schema}.meta m;
  IF upto >= horizon THEN
    upto := horizon; upto_count := 0;
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
  READ_JOURNAL,
  TRIM_JOURNAL,
].join('');
