import type { Logger } from 'pino';
import type { ResolvedConfig } from '../../core/config.ts';
import { redactUrl } from '../../core/redact-url.ts';
import type { Config } from '../../core/settings.ts';
import type { Cli } from '../cli.ts';
import { exitCodes } from '../failure.ts';
import { type Define, examples } from '../help.ts';
import { facts } from '../text.ts';

interface Options {
  host?: string;
  port?: string;
  logLevel?: string;
}

export const serveCommand: Define = (program, run) => {
  program
    .command('serve')
    .summary('serve the engine over HTTP')
    .description(
      'Serves the engine over HTTP until it is stopped. SIGTERM or Ctrl-C finishes what is under way; a second ' +
        'one ends it at once. Logs are JSON lines on standard error: ids, never content.',
    )
    .option('--host <address>', 'where to listen (default: 127.0.0.1, which only this machine reaches)')
    .option('--port <n>', 'the port; 0 takes any that is free (default: 7420)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (default: info)')
    .addHelpText(
      'after',
      examples([
        ['holdfast serve', 'http://127.0.0.1:7420, with ./holdfast.db'],
        ['holdfast serve --port 8000 --store file:/data/agent.db', 'elsewhere'],
        ['curl http://127.0.0.1:7420/healthz', 'is it well?'],
      ]),
    )
    .action(run<Options>((cli, _args, options) => serve(cli, options)));
};

async function serve(cli: Cli, options: Options): Promise<number> {
  const settings = { ...options };
  const stopped = stopSignal();
  const { config } = await cli.settings(settings);
  const logger = await openLog(config.logLevel);
  return cli.withEngine(
    async ({ engine, sources }) => {
      const { startServer } = await import('../../server/index.ts');
      const server = await startServer(engine, { host: config.host, port: config.port, logger });
      announce(cli, server.url, { config, sources });
      const from = sources.store.name;
      logger.info({ url: server.url, store: redactUrl(config.store), from }, 'listening');
      const signal = await stopped;
      logger.info({ signal }, 'stopping');
      await server.close();
      logger.info({ signal }, 'stopped');
      return exitCodes.ok;
    },
    { settings, create: true, maintain: true, logger },
  );
}

/** Resolves at the first signal to stop; the second one ends the process. */
function stopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let signals = 0;
  const hear = (signal: NodeJS.Signals) => {
    if (++signals > 1) process.exit(exitCodes.interrupted);
    resolve(signal);
  };
  process.on('SIGINT', hear).on('SIGTERM', hear);
  return promise;
}

async function openLog(level: Config['logLevel']): Promise<Logger> {
  const { pino } = await import('pino');
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  // Written at once: the last lines before an end are those that matter.
  return pino(options, pino.destination({ fd: process.stderr.fd, sync: true }));
}

function announce(
  { json, out }: Cli,
  url: string,
  { config: { store, tenant }, sources }: Pick<ResolvedConfig, 'config' | 'sources'>,
): void {
  const from = sources.store.from === 'default' ? '' : ` (${sources.store.name})`;
  if (json) {
    out.json({ url, store: redactUrl(store), tenant });
    return;
  }
  out.line(`${out.style('bold', 'Holdfast')} listens on ${out.style('cyan', url)}`);
  const entries: [string, string][] = [
    ['store', redactUrl(store) + from],
    ['tenant', tenant],
  ];
  for (const line of facts(entries)) out.line(`  ${line}`);
  out.line(`
Try, in another terminal:
  curl ${url}/healthz
  curl ${url}/v1/sessions -H 'content-type: application/json' -d '{"id":"first","userId":"me"}'
  holdfast import conversations.jsonl

Ctrl-C stops it.
`);
}
