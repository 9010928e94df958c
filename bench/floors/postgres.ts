import { Client } from 'pg';

/** The driver alone: rows of a plain table, many in each INSERT. */
export class RawRows {
  readonly #client: Client;
  readonly #sessions: readonly string[];
  readonly #seqs: number[];

  static async open(url: string, sessions: readonly string[]): Promise<RawRows> {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('CREATE SCHEMA raw');
    await client.query(
      'CREATE TABLE raw.messages (session text, seq bigint, message text, PRIMARY KEY (session, seq))',
    );
    return new RawRows(client, sessions);
  }

  private constructor(client: Client, sessions: readonly string[]) {
    this.#client = client;
    this.#sessions = sessions;
    this.#seqs = sessions.map(() => 0);
  }

  /** Inserts `count` rows, `together` of them with each statement, one statement after the other. */
  async insert(message: string, count: number, together: number): Promise<void> {
    const rows = Array.from({ length: together }, (_, i) => `($${i * 3 + 1}, $${i * 3 + 2}, $${i * 3 + 3})`);
    const text = `INSERT INTO raw.messages VALUES ${rows.join(', ')}`;
    for (let i = 0; i < count; i += together) {
      const values: unknown[] = [];
      for (let j = i; j < i + together; j++) {
        const session = j % this.#sessions.length;
        this.#seqs[session]! += 1;
        values.push(this.#sessions[session], this.#seqs[session], message);
      }
      await this.#client.query({ name: `insert ${together}`, text, values });
    }
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

/** What a schema's tables and indexes take on disk (bytes). */
export async function schemaBytes(url: string, schema: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ bytes: string }>(
      `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`,
      [schema],
    );
    return Number(rows[0]!.bytes);
  } finally {
    await client.end();
  }
}
