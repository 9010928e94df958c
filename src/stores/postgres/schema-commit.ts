/**
 * The function that commits a group of batches, in one transaction.
 *
 * What it is given is arrays: of partitions (`p_…`), batches (`b_…`), operations (`o_…`), and by kind of operation of
 * records (`r_…`), places in indexes (`x_…`), logs that are appended to (`h_…`), appends (`l_…`), entries (`e_…`) and
 * what changes things that are there or the full-text index (`m_…`). Names that end in `_of` point into another array, from 1. Batches come in waves:
 * those of one wave are judged, then written, by a handful of statements each; `w_…` say where each wave ends.
 *
 * What an operation did is a fact `(o, p, a, b)`: its operation, its partition, and two numbers. It changed something
 * where a > 0. check: none; put, add: version, created; delete, drop: count; append: first seq, count; rewrite:
 * version; truncate: first, newest seq.
 */
const HEAD = `
CREATE FUNCTION {schema}.commit_group(
  my_writer text, my_lane int, my_turn bigint, now_ms bigint, durability text, locks bigint[],
  p_tenant text[], p_type text[], p_id text[],
  b_partition_of int[], b_id text[], b_makes boolean[],
  o_batch_of int[], o_code int[], o_head text[],
  w_kinds int[], w_b int[], w_o int[], w_r int[], w_x int[], w_h int[], w_l int[], w_e int[], w_m int[],
  r_o int[], r_op int[], r_kind text[], r_id text[], r_if bigint[], r_value text[], r_version bigint[],
  r_counter boolean[], r_indexed boolean[],
  x_r int[], x_name text[], x_key text[], x_order float8[],
  h_partition_of int[], h_name text[], h_start bigint[], h_count int[],
  l_o int[], l_h int[], l_if bigint[], l_start bigint[], l_from int[], l_to int[],
  e_l int[], e_offset int[], e_value text[], e_id text[], e_same int[], e_mark text[], e_version int[],
  m_o int[], m_op int[], m_log text[], m_a bigint[], m_b bigint[], m_if bigint[], m_value text[], m_mark text[],
  m_keep boolean[]
) RETURNS text LANGUAGE plpgsql
-- Whatever the tables' statistics say: all is looked up by its key, with plans that are made once.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off SET extra_float_digits = 1
AS $body$
DECLARE
  known record; place bigint; base bigint; new_version bigint; p_pk bigint[];
  bad int[] := '{}'; bad_before int := 0;
  fail_o int[] := '{}'; fail_at bigint[] := '{}'; fail_text text[] := '{}';
  again_b int[] := '{}'; again_receipt text[] := '{}';
  f_o int[] := '{}'; f_p bigint[] := '{}'; f_a bigint[] := '{}'; f_b bigint[] := '{}';
  g_o int[] := '{}'; g_pk bigint[] := '{}';
  t_o int[] := '{}'; t_text text[] := '{}';
  kinds int; i int;
  b0 int := 1; o0 int := 1; r0 int := 1; x0 int := 1; h0 int := 1; l0 int := 1; e0 int := 1; m0 int := 1;
  b1 int; o1 int; r1 int; x1 int; h1 int; l1 int; e1 int; m1 int;
  n_o int[]; n_at bigint[]; n_text text[]; n_b int[]; n_p bigint[]; n_n bigint[];
  was_version bigint[]; was_indexed boolean[]; new_value text[];
  log_pk bigint[]; log_row tid[]; log_last bigint[]; log_base bigint[]; log_count int[];
  ent_offset int[]; ent_known bigint[]; one record; gone bigint; gone_before bigint; num bigint; reply text;
BEGIN
`;

const BEGIN = `
  {be_sound}
  -- Before anything gets a transaction id: of two transactions on a partition, the later one has the higher one.
  PERFORM pg_advisory_xact_lock(k) FROM unnest(locks) k;
  SELECT t.turn, t.reply INTO known FROM {schema}.writers t WHERE t.writer = my_writer AND t.lane = my_lane;
  IF known.turn >= my_turn THEN
    RETURN CASE WHEN known.turn = my_turn THEN known.reply END;
  END IF;
  {be_placed}
  SELECT t.version_base INTO base FROM {schema}.meta t;
  SELECT array_agg(t.pk ORDER BY k) INTO p_pk FROM generate_series(1, cardinality(p_id)) k
    LEFT JOIN {schema}.partitions t ON t.tenant = p_tenant[k] AND t.type = p_type[k] AND t.id = p_id[k];

  FOR w IN 1 .. cardinality(w_kinds) LOOP
    kinds := w_kinds[w];
    b1 := w_b[w]; o1 := w_o[w]; r1 := w_r[w]; x1 := w_x[w]; h1 := w_h[w]; l1 := w_l[w]; e1 := w_e[w]; m1 := w_m[w];
`;

const JUDGE = `
    IF kinds & {has_ids} <> 0 THEN
      SELECT coalesce(array_agg(k), '{}'), coalesce(array_agg(t.receipt), '{}') INTO n_b, n_text
        FROM generate_series(b0, b1) k JOIN {schema}.batches t ON t.tenant = p_tenant[b_partition_of[k]]
          AND t.type = p_type[b_partition_of[k]] AND t.partition = p_id[b_partition_of[k]]
          AND t.digest = hashtextextended(b_id[k] COLLATE "C", 0) AND t.id = b_id[k];
      again_b := again_b || n_b; again_receipt := again_receipt || n_text; bad := bad || n_b;
    END IF;
    bad_before := cardinality(bad);
    IF kinds & {has_conditions} <> 0 THEN
      SELECT array_agg(r_o[k]), array_agg(t.version), array_agg(CASE WHEN t.counter THEN t.value END)
        INTO n_o, n_at, n_text
        FROM generate_series(r0, r1) k
        LEFT JOIN {schema}.records t ON t.partition = p_pk[b_partition_of[o_batch_of[r_o[k]]]]
          AND t.kind = r_kind[k] AND t.id = r_id[k]
        WHERE CASE r_if[k] WHEN -1 THEN t.version IS NOT NULL WHEN -2 THEN t.version IS NULL
            ELSE t.version IS DISTINCT FROM r_if[k] AND r_if[k] IS NOT NULL END
          OR t.version > r_version[k]
          OR r_op[k] = {add} AND t.version IS NOT NULL
            AND (NOT t.counter OR {schema}.add_counters(t.value, r_value[k]) IS NULL);
      IF n_o IS NOT NULL THEN
        fail_o := fail_o || n_o; fail_at := fail_at || n_at; fail_text := fail_text || n_text;
      END IF;
    END IF;
    IF kinds & {has_appends} <> 0 THEN
      SELECT array_agg(t.pk ORDER BY k), array_agg(t.ctid ORDER BY k), array_agg(coalesce(t.last, 0) ORDER BY k),
          array_agg(greatest(coalesce(t.last, 0), h_start[k] - 1) ORDER BY k)
        INTO log_pk, log_row, log_last, log_base
        FROM generate_series(h0, h1) k LEFT JOIN {schema}.logs t
          ON t.partition = p_pk[h_partition_of[k]] AND t.name = h_name[k];
      IF kinds & {has_ends} <> 0 THEN
        SELECT array_agg(l_o[k]), array_agg(log_last[l_h[k] - h0 + 1]) INTO n_o, n_at FROM generate_series(l0, l1) k
          WHERE l_if[k] <> log_last[l_h[k] - h0 + 1] OR l_start[k] <= log_last[l_h[k] - h0 + 1];
        IF n_o IS NOT NULL THEN
          fail_o := fail_o || n_o; fail_at := fail_at || n_at;
          fail_text := fail_text || array_fill(NULL::text, ARRAY[cardinality(n_o)]);
        END IF;
      END IF;
    END IF;
    IF kinds & {has_mends} <> 0 THEN
      FOR i IN m0 .. m1 LOOP
        CONTINUE WHEN m_op[i] >= {index};
        SELECT t.pk, t.last INTO one FROM {schema}.logs t
          WHERE t.partition = p_pk[b_partition_of[o_batch_of[m_o[i]]]] AND t.name = m_log[i];
        num := NULL;
        IF m_op[i] = {rewrite} THEN
          SELECT t.version INTO num FROM {schema}.entries t WHERE t.log = one.pk AND t.seq = m_a[i];
          CONTINUE WHEN num = coalesce(m_if[i], num);
        ELSIF m_op[i] = {truncate} THEN
          num := coalesce(one.last, 0);
          CONTINUE WHEN num = coalesce(m_if[i], num);
        ELSIF m_op[i] = {drop} THEN
          SELECT t.expires_at INTO num FROM {schema}.partitions t
            WHERE t.pk = p_pk[b_partition_of[o_batch_of[m_o[i]]]];
          CONTINUE WHEN NOT FOUND OR m_if[i] IS NULL OR num <= m_if[i];
        ELSE
          CONTINUE;
        END IF;
        fail_o := fail_o || m_o[i]; fail_at := fail_at || num; fail_text := fail_text || NULL::text;
      END LOOP;
    END IF;
    IF cardinality(fail_o) > 0 THEN
      SELECT bad || coalesce(array_agg(DISTINCT o_batch_of[k]), '{}') INTO bad FROM unnest(fail_o) k
        WHERE k >= o0 AND o_batch_of[k] <> ALL (bad);
    END IF;
    IF array_position(p_pk, NULL) IS NOT NULL THEN
      FOR i IN SELECT DISTINCT b_partition_of[k] FROM generate_series(b0, b1) k
          WHERE b_makes[k] AND k <> ALL (bad) AND p_pk[b_partition_of[k]] IS NULL LOOP
        INSERT INTO {schema}.partitions AS t (tenant, type, id) VALUES (p_tenant[i], p_type[i], p_id[i])
          RETURNING t.pk INTO num;
        p_pk[i] := num;
      END LOOP;
    END IF;
`;

const RECORDS = `
    IF kinds & {has_writes} <> 0 THEN
      new_version := base + nextval({versions});
      SELECT array_agg(t.version ORDER BY k), array_agg(t.indexed ORDER BY k),
          array_agg(CASE WHEN r_op[k] = {add} AND o_batch_of[r_o[k]] <> ALL (bad)
            THEN {schema}.add_counters(t.value, r_value[k]) END ORDER BY k)
        INTO was_version, was_indexed, new_value
        FROM generate_series(r0, r1) k
        LEFT JOIN {schema}.records t ON t.partition = p_pk[b_partition_of[o_batch_of[r_o[k]]]]
          AND t.kind = r_kind[k] AND t.id = r_id[k];
      DELETE FROM {schema}.index_entries t USING generate_series(r0, r1) k
        WHERE was_indexed[k - r0 + 1] AND r_op[k] <> {check} AND o_batch_of[r_o[k]] <> ALL (bad)
          AND t.partition = p_pk[b_partition_of[o_batch_of[r_o[k]]]] AND t.kind = r_kind[k] AND t.id = r_id[k];
      DELETE FROM {schema}.records t USING generate_series(r0, r1) k
        WHERE r_op[k] = {delete} AND o_batch_of[r_o[k]] <> ALL (bad)
          AND t.partition = p_pk[b_partition_of[o_batch_of[r_o[k]]]] AND t.kind = r_kind[k] AND t.id = r_id[k];
      INSERT INTO {schema}.records AS t (partition, kind, id, version, counter, indexed, value)
        SELECT p_pk[b_partition_of[o_batch_of[r_o[k]]]], r_kind[k], r_id[k], coalesce(r_version[k], new_version),
            r_counter[k], r_indexed[k], coalesce(new_value[k - r0 + 1], r_value[k])
          FROM generate_series(r0, r1) k
          WHERE r_op[k] IN ({put}, {add}) AND o_batch_of[r_o[k]] <> ALL (bad)
        ON CONFLICT (partition, kind, id) DO UPDATE SET version = excluded.version, counter = excluded.counter,
          indexed = excluded.indexed, value = excluded.value;
      INSERT INTO {schema}.index_entries (tenant, name, key, position, partition, kind, id)
        SELECT p_tenant[b_partition_of[o_batch_of[r_o[x_r[k]]]]], x_name[k], x_key[k], x_order[k],
            p_pk[b_partition_of[o_batch_of[r_o[x_r[k]]]]], r_kind[x_r[k]], r_id[x_r[k]]
          FROM generate_series(x0, x1) k WHERE o_batch_of[r_o[x_r[k]]] <> ALL (bad);
      SELECT array_agg(r_o[k]), array_agg(p_pk[b_partition_of[o_batch_of[r_o[k]]]]),
          array_agg(CASE WHEN r_op[k] <> {delete} THEN coalesce(r_version[k], new_version)
            WHEN was_version[k - r0 + 1] IS NULL THEN 0 ELSE 1 END),
          array_agg(CASE WHEN r_op[k] <> {delete} THEN (was_version[k - r0 + 1] IS NULL)::int END)
        INTO n_o, n_p, n_at, n_n
        FROM generate_series(r0, r1) k WHERE r_op[k] <> {check} AND o_batch_of[r_o[k]] <> ALL (bad);
      IF n_o IS NOT NULL THEN
        f_o := f_o || n_o; f_p := f_p || n_p; f_a := f_a || n_at; f_b := f_b || n_n;
        SELECT t_o || coalesce(array_agg(r_o[k]), '{}'), t_text || coalesce(array_agg(new_value[k - r0 + 1]), '{}')
          INTO t_o, t_text FROM generate_series(r0, r1) k WHERE new_value[k - r0 + 1] IS NOT NULL;
        SELECT max(r_version[k]) INTO num FROM generate_series(r0, r1) k WHERE o_batch_of[r_o[k]] <> ALL (bad);
        IF num >= new_version THEN
          -- Far beyond, so that a copy does not come here with every batch.
          UPDATE {schema}.meta t SET version_base = greatest(t.version_base, base + num - new_version + 1000000)
            RETURNING t.version_base INTO base;
        END IF;
      END IF;
    END IF;
`;

const APPENDS = `
    IF kinds & {has_appends} <> 0 THEN
      IF kinds & {has_entry_ids} = 0 AND cardinality(bad) = bad_before AND bad_before = 0 THEN
        log_count := h_count[h0:h1];
        ent_offset := e_offset[e0:e1];
        SELECT array_agg(l_o[k]), array_agg(p_pk[h_partition_of[l_h[k]]]),
            array_agg(log_base[l_h[k] - h0 + 1] + e_offset[l_from[k]]), array_agg(l_to[k] - l_from[k] + 1)
          INTO n_o, n_p, n_at, n_n FROM generate_series(l0, l1) k;
      ELSE
        SELECT array_agg(t.seq ORDER BY k) INTO ent_known FROM generate_series(e0, e1) k
          LEFT JOIN {schema}.entries t ON t.log = log_pk[l_h[e_l[k]] - h0 + 1] AND t.given_id = e_id[k];
        SELECT array_agg(CASE WHEN s.new THEN s.place END ORDER BY s.k) INTO ent_offset
          FROM (SELECT s.k, s.new, row_number() OVER (PARTITION BY s.h, s.new ORDER BY s.k) AS place
            FROM (SELECT k, l_h[e_l[k]] AS h, ent_known[k - e0 + 1] IS NULL AND e_same[k] IS NULL
              AND o_batch_of[l_o[e_l[k]]] <> ALL (bad) AS new FROM generate_series(e0, e1) k) s) s;
        SELECT array_agg(s.n ORDER BY s.h) INTO log_count FROM (SELECT h, count(ent_offset[k - e0 + 1])::int AS n
          FROM generate_series(h0, h1) h LEFT JOIN generate_series(e0, e1) k ON l_h[e_l[k]] = h GROUP BY h) s;
        SELECT array_agg(l_o[s.l]), array_agg(p_pk[h_partition_of[l_h[s.l]]]),
            array_agg(log_base[l_h[s.l] - h0 + 1] + s.first), array_agg(s.n)
          INTO n_o, n_p, n_at, n_n
          FROM (SELECT l, min(ent_offset[k - e0 + 1]) AS first, count(ent_offset[k - e0 + 1]) AS n
            FROM generate_series(l0, l1) l, generate_series(l_from[l], l_to[l]) k
            WHERE o_batch_of[l_o[l]] <> ALL (bad) GROUP BY l) s;
        SELECT t_o || coalesce(array_agg(s.o), '{}'), t_text || coalesce(array_agg(s.seqs), '{}') INTO t_o, t_text
          FROM (SELECT l_o[l] AS o, json_agg(coalesce(ent_known[j - e0 + 1],
                log_base[l_h[l] - h0 + 1] + ent_offset[j - e0 + 1]) ORDER BY k)::text AS seqs
            FROM generate_series(l0, l1) l, generate_series(l_from[l], l_to[l]) k, coalesce(e_same[k], k) j
            WHERE o_batch_of[l_o[l]] <> ALL (bad) GROUP BY l) s;
      END IF;
      IF n_o IS NOT NULL THEN
        f_o := f_o || n_o; f_p := f_p || n_p; f_a := f_a || n_at; f_b := f_b || n_n;
        UPDATE {schema}.logs t SET last = log_base[k - h0 + 1] + log_count[k - h0 + 1],
            count = t.count + log_count[k - h0 + 1],
            first = CASE WHEN t.count = 0 THEN log_base[k - h0 + 1] + 1 ELSE t.first END
          FROM generate_series(h0, h1) k WHERE t.ctid = log_row[k - h0 + 1] AND log_count[k - h0 + 1] > 0;
        IF array_position(log_pk, NULL) IS NOT NULL THEN
          FOR i IN SELECT k FROM generate_series(1, h1 - h0 + 1) k WHERE log_pk[k] IS NULL AND log_count[k] > 0 LOOP
            INSERT INTO {schema}.logs AS t (partition, name, first, last, count)
              VALUES (p_pk[h_partition_of[i + h0 - 1]], h_name[i + h0 - 1],
                log_base[i] + 1, log_base[i] + log_count[i], log_count[i])
              RETURNING t.pk INTO num;
            log_pk[i] := num;
          END LOOP;
        END IF;
        INSERT INTO {schema}.entries (log, seq, version, mark, given_id, value)
          SELECT log_pk[l_h[e_l[k]] - h0 + 1], log_base[l_h[e_l[k]] - h0 + 1] + ent_offset[k - e0 + 1],
              coalesce(e_version[k], 1), e_mark[k], e_id[k], e_value[k]
            FROM generate_series(e0, e1) k WHERE ent_offset[k - e0 + 1] IS NOT NULL;
        SELECT g_o || array_agg(l_o[k]), g_pk || array_agg(log_pk[l_h[k] - h0 + 1]) INTO g_o, g_pk
          FROM generate_series(l0, l1) k WHERE o_batch_of[l_o[k]] <> ALL (bad);
      END IF;
    END IF;
`;

const MENDS = `
    IF kinds & {has_mends} <> 0 THEN
      FOR i IN m0 .. m1 LOOP
        CONTINUE WHEN o_batch_of[m_o[i]] = ANY (bad);
        num := p_pk[b_partition_of[o_batch_of[m_o[i]]]];
        gone := 0; gone_before := NULL;
        IF m_op[i] = {index} THEN
          PERFORM {schema}.index_text(
            num, p_tenant[b_partition_of[o_batch_of[m_o[i]]]], m_log[i], m_value[i], m_mark[i]::json);
        ELSIF m_op[i] = {unindex} THEN
          t_o := t_o || m_o[i]; t_text := t_text || {schema}.unindex_text(num, m_log[i], m_value[i])::text;
        ELSIF m_op[i] = {embed} THEN
          PERFORM {schema}.embed_text(num, m_log[i], m_value[i], m_mark[i]::json);
        END IF;
        SELECT t.* INTO one FROM {schema}.logs t WHERE t.partition = num AND t.name = m_log[i];
        IF m_op[i] = {rewrite} THEN
          UPDATE {schema}.entries t SET value = m_value[i], version = t.version + 1,
              mark = CASE WHEN m_keep[i] THEN t.mark ELSE m_mark[i] END
            WHERE t.log = one.pk AND t.seq = m_a[i] RETURNING t.version INTO gone;
        ELSIF m_op[i] = {expire} THEN
          UPDATE {schema}.partitions t SET expires_at = m_a[i] WHERE t.pk = p_pk[b_partition_of[o_batch_of[m_o[i]]]];
          gone := 1;
        ELSIF m_op[i] = {truncate} AND one.count > 0 THEN
          DELETE FROM {schema}.entries t WHERE t.log = one.pk AND t.seq < m_a[i];
          GET DIAGNOSTICS gone_before = ROW_COUNT;
          DELETE FROM {schema}.entries t WHERE t.log = one.pk AND t.seq > m_b[i];
          GET DIAGNOSTICS gone = ROW_COUNT;
          gone := gone + gone_before;
          IF gone > 0 THEN
            t_o := t_o || m_o[i]; t_text := t_text || gone::text;
            SELECT coalesce(min(t.seq), one.last + 1), coalesce(max(t.seq), one.last) INTO gone, gone_before
              FROM {schema}.entries t WHERE t.log = one.pk;
            UPDATE {schema}.logs t SET first = gone, count = t.count - t_text[cardinality(t_text)]::bigint
              WHERE t.pk = one.pk;
          END IF;
        ELSIF m_op[i] = {drop} AND num IS NOT NULL THEN
          PERFORM {schema}.drop_partition(num, place);
          p_pk[b_partition_of[o_batch_of[m_o[i]]]] := NULL;
          gone := 1; gone_before := NULL;
        END IF;
        f_o := f_o || m_o[i]; f_p := f_p || num; f_a := f_a || gone; f_b := f_b || gone_before;
      END LOOP;
    END IF;
`;

const END = `
    IF kinds & {has_ids} <> 0 THEN
      INSERT INTO {schema}.batches (tenant, type, partition, id, position, receipt)
        SELECT p_tenant[b_partition_of[k]], p_type[b_partition_of[k]], p_id[b_partition_of[k]], b_id[k], place,
            json_build_array(place,
              (SELECT count(DISTINCT o_batch_of[f.o]) FROM unnest(f_o, f_a) f(o, a)
                WHERE f.a > 0 AND o_batch_of[f.o] <= k),
              (SELECT json_agg(json_build_array(o_code[o], f_a[n.at], f_b[n.at], t_text[array_position(t_o, o)])
                ORDER BY o)
                FROM generate_series(o0, o1) o, LATERAL (SELECT array_position(f_o, o) AS at) n
                WHERE o_batch_of[o] = k))::text
          FROM generate_series(b0, b1) k WHERE b_id[k] IS NOT NULL AND k <> ALL (bad);
    END IF;
    b0 := b1 + 1; o0 := o1 + 1; r0 := r1 + 1; x0 := x1 + 1; h0 := h1 + 1; l0 := l1 + 1; e0 := e1 + 1; m0 := m1 + 1;
  END LOOP;

  INSERT INTO {schema}.journal (position, at, changes)
    SELECT place, now_ms, '[' || string_agg(s.change, ',' ORDER BY s.b) || ']'
      FROM (SELECT o_batch_of[f.o] AS b, '[' || min(f.p) || ',' || coalesce(to_json(b_id[o_batch_of[f.o]])::text, '0')
          || string_agg(',' || o_head[f.o] || ',' || f.a || coalesce(',' || f.b, '') || ']', '' ORDER BY f.o)
          || ']' AS change
        FROM unnest(f_o, f_p, f_a, f_b) f(o, p, a, b) WHERE f.a > 0 GROUP BY o_batch_of[f.o]) s
      HAVING count(*) > 0;
  reply := json_build_object('place', place, 'o', f_o, 'p', f_p, 'logsOf', g_o, 'logs', g_pk, 'a', f_a, 'b', f_b, 'to', t_o, 'text', t_text,
    'failed', fail_o, 'at', fail_at, 'counters', fail_text, 'again', again_b, 'receipts', again_receipt)::text;
  INSERT INTO {schema}.writers AS t (writer, lane, turn, at, reply) VALUES (my_writer, my_lane, my_turn, now_ms, reply)
    ON CONFLICT (writer, lane) DO UPDATE SET turn = excluded.turn, at = excluded.at, reply = excluded.reply
      WHERE t.turn < excluded.turn;
  RETURN reply;
END $body$;
`;

export const COMMIT_GROUP = HEAD + BEGIN + JUDGE + RECORDS + APPENDS + MENDS + END;
