/**
 * The function that commits a group of batches which do nothing but append to logs that are known, and check records:
 * what most commits are, with the fewest look-ups. It does all or nothing: where a check fails, or a log is gone, it
 * says so (null, or an error of its own), and the group goes to `commit_group`, which judges each batch by itself.
 *
 * What it is given is arrays: of checks (`c_…`), logs (`h_…`), and entries (`e_…`) with their log's place and their own
 * among the log's. The journal's line comes with it; only the last seqs of the logs before are added.
 */
export const APPEND_GROUP = `
CREATE FUNCTION {schema}.append_group(
  my_writer text, my_lane int, my_turn bigint, now_ms bigint, durability text, locks bigint[],
  c_partition bigint[], c_kind text[], c_id text[], c_if bigint[],
  h_log bigint[], h_count int[],
  e_h int[], e_offset int[], e_value text[], e_mark text[], e_version int[],
  told text
) RETURNS text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
  place bigint; broken boolean; known_turn bigint; known_reply text; moved text; reply text;
BEGIN
  {be_sound}
  -- Before anything gets a transaction id: of two transactions on a partition, the later one has the higher one.
  PERFORM pg_advisory_xact_lock(k) FROM unnest(locks) k;
  SELECT w.turn, w.reply, EXISTS (
      SELECT FROM generate_series(1, cardinality(c_partition)) i
        LEFT JOIN {schema}.records t ON t.partition = c_partition[i] AND t.kind = c_kind[i] AND t.id = c_id[i]
        WHERE CASE c_if[i] WHEN -1 THEN t.version IS NOT NULL WHEN -2 THEN t.version IS NULL
          ELSE t.version IS DISTINCT FROM c_if[i] END)
    INTO known_turn, known_reply, broken
    FROM (SELECT) one LEFT JOIN {schema}.writers w ON w.writer = my_writer AND w.lane = my_lane;
  IF known_turn >= my_turn THEN
    RETURN CASE WHEN known_turn = my_turn THEN known_reply END;
  END IF;
  IF broken OR known_turn IS NULL THEN
    RETURN NULL;
  END IF;
  {be_placed}
  WITH moved AS (
    UPDATE {schema}.logs t SET last = t.last + h_count[i], count = t.count + h_count[i],
        first = CASE WHEN t.count = 0 THEN t.last + 1 ELSE t.first END
      FROM generate_series(1, cardinality(h_log)) i WHERE t.pk = h_log[i]
      RETURNING i, t.last - h_count[i] AS base
  ), found AS (
    SELECT s.bases, array_to_string(s.bases, ',') AS list
      FROM (SELECT array_agg(m.base ORDER BY m.i) AS bases FROM moved m) s
      WHERE cardinality(s.bases) = cardinality(h_log)
  ), added AS (
    INSERT INTO {schema}.entries (log, seq, version, mark, value)
      SELECT h_log[e_h[j]], f.bases[e_h[j]] + e_offset[j], coalesce(e_version[j], 1), e_mark[j], e_value[j]
        FROM found f, generate_series(1, cardinality(e_value)) j
  ), journaled AS (
    INSERT INTO {schema}.journal (position, at, changes, bases) SELECT place, now_ms, told, f.list FROM found f
  ), answered AS (
    UPDATE {schema}.writers t SET turn = my_turn, at = now_ms, reply = '[' || place || ',' || f.list || ']'
      FROM found f WHERE t.writer = my_writer AND t.lane = my_lane AND t.turn < my_turn
  )
  SELECT f.list INTO moved FROM found f;
  IF moved IS NULL THEN
    RAISE EXCEPTION 'a log is gone' USING ERRCODE = 'HF001';
  END IF;
  RETURN '[' || place || ',' || moved || ']';
END $body$;
`;
