/**
 * The function that commits a group of batches which do nothing but append to logs that are known, and check records:
 * what most commits are, with the fewest look-ups. It does all or nothing: where a check fails, or a log is gone, it
 * says so (null, or an error of its own), and the group goes to `commit_group`, which judges each batch by itself.
 *
 * What it is given is arrays: of checks (`c_…`), logs (`h_…`), entries in the order of their logs (`e_…`), and of the
 * journal's lines what stands before and after the first seq (`l_…`).
 */
export const APPEND_GROUP = `
CREATE FUNCTION {schema}.append_group(
  my_writer text, my_lane int, my_turn bigint, now_ms bigint, durability text, locks bigint[],
  c_partition bigint[], c_kind text[], c_id text[], c_if bigint[],
  h_log bigint[], h_from int[], h_count int[],
  e_value text[], e_mark text[], e_version int[],
  l_h int[], l_offset int[], l_head text[], l_tail text[]
) RETURNS text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
  place bigint; broken boolean; known_turn bigint; known_reply text; bases bigint[]; k bigint; reply text;
BEGIN
  {be_durable}
  -- Before anything gets a transaction id: of two transactions on a partition, the later one has the higher one.
  FOREACH k IN ARRAY locks LOOP
    reply := pg_advisory_xact_lock(k);
  END LOOP;
  SELECT m.shift, w.turn, w.reply, EXISTS (
      SELECT FROM generate_series(1, cardinality(c_partition)) i
        LEFT JOIN {schema}.records t ON t.partition = c_partition[i] AND t.kind = c_kind[i] AND t.id = c_id[i]
        WHERE CASE c_if[i] WHEN -1 THEN t.version IS NOT NULL WHEN -2 THEN t.version IS NULL
          ELSE t.version IS DISTINCT FROM c_if[i] END)
    INTO place, known_turn, known_reply, broken
    FROM {schema}.meta m LEFT JOIN {schema}.writers w ON w.writer = my_writer AND w.lane = my_lane;
  IF known_turn >= my_turn THEN
    RETURN CASE WHEN known_turn = my_turn THEN known_reply END;
  END IF;
  IF broken THEN
    RETURN NULL;
  END IF;
  place := place + pg_current_xact_id()::text::bigint;
  WITH moved AS (
    UPDATE {schema}.logs t SET last = t.last + h_count[i], count = t.count + h_count[i],
        first = CASE WHEN t.count = 0 THEN t.last + 1 ELSE t.first END
      FROM generate_series(1, cardinality(h_log)) i WHERE t.pk = h_log[i]
      RETURNING i, t.pk, t.last - h_count[i] AS base
  ), added AS (
    INSERT INTO {schema}.entries (log, seq, version, mark, value)
      SELECT m.pk, m.base + j, coalesce(e_version[h_from[m.i] + j], 1), e_mark[h_from[m.i] + j],
          e_value[h_from[m.i] + j]
        FROM moved m, generate_series(1, h_count[m.i]) j
  ), found AS (
    SELECT array_agg(m.base ORDER BY m.i) AS bases FROM moved m
  ), told AS (
    INSERT INTO {schema}.journal (position, at, changes)
      SELECT place, now_ms, '[' || string_agg(l_head[j] || f.bases[l_h[j]] + l_offset[j] || l_tail[j], ',') || ']'
        FROM found f, generate_series(1, cardinality(l_h)) j
  ), answered AS (
    INSERT INTO {schema}.writers AS t (writer, lane, turn, at, reply)
      SELECT my_writer, my_lane, my_turn, now_ms, '[' || place || ',' || array_to_string(f.bases, ',') || ']'
        FROM found f
      ON CONFLICT (writer, lane) DO UPDATE SET turn = excluded.turn, at = excluded.at, reply = excluded.reply
        WHERE t.turn < excluded.turn
  )
  SELECT f.bases INTO bases FROM found f;
  IF cardinality(bases) IS DISTINCT FROM cardinality(h_log) THEN
    RAISE EXCEPTION 'a log is gone' USING ERRCODE = 'HF001';
  END IF;
  RETURN '[' || place || ',' || array_to_string(bases, ',') || ']';
END $body$;
`;
