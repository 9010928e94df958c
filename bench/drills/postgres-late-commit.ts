import { onPostgres, startPostgres } from '../../scripts/servers/postgres.ts';
import type { Bench, Row } from '../harness/types.ts';
import { underLoad } from './workers/load.ts';

/** One commit in twenty stays open for a while after it has its place in the journal. */
const dawdle = `
  CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF random() < 0.05 THEN PERFORM pg_sleep(random() * 0.3); END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER dawdle AFTER INSERT ON holdfast.journal FOR EACH ROW EXECUTE FUNCTION public.dawdle()`;

const drill: Bench = {
  name: 'postgres-late-commit',
  summary: 'commits become visible late and out of order: a reader of the journal skips none',

  async run(context): Promise<Row[]> {
    const { url } = context.resources.use(await startPostgres());
    return underLoad(context, { url }, async (load) => {
      context.progress(0, 3, 'delaying commits');
      await onPostgres(url, (client) => client.query(dawdle));
      await load.answered(100);
      context.progress(1, 3, 'holding a transaction open');
      await onPostgres(url, async (client) => {
        await client.query('BEGIN');
        await client.query('SELECT pg_current_xact_id()');
        await load.answered(50);
        await client.query('COMMIT');
      });
      context.progress(2, 3, 'going on');
      await load.answered(20);
    });
  },
};

export default drill;
