import { existsSync } from 'node:fs';
import type { ResolvedConfig } from '../core/config.ts';
import type { ContextEngine } from '../core/engine.ts';
import type { EngineOptions } from '../core/engine-options.ts';
import type { Logger } from '../core/logger.ts';
import type { Config } from '../core/settings.ts';
import type { Store } from '../core/store.ts';
import { readConfigFile } from './config-file.ts';
import { Output } from './output.ts';

/** The options that every command has. */
export interface GlobalOptions {
  store?: string;
  tenant?: string;
  config?: string;
  json?: boolean;
  color: boolean;
}

/** An open engine with the store it works on and its settings. */
export interface Opened extends ResolvedConfig {
  engine: ContextEngine;
  store: Store;
}

interface OpenOptions {
  /** Settings that the command has as options. */
  settings?: Readonly<Record<string, unknown>>;
  /** Make the store where there is none. Commands that only read don't: a mistyped path would leave a file behind. */
  create?: boolean;
  /** Sweep and trim regularly, as a long-lived process should. */
  maintain?: boolean;
  /** Is told what happens, also in the background. */
  logger?: Logger;
}

/** What a command is given: the two streams, the settings, and the engine when it asks for it. */
export class Cli {
  readonly json: boolean;
  readonly out: Output;
  readonly err: Output;
  readonly #options: GlobalOptions;
  readonly #env: NodeJS.ProcessEnv;

  constructor(options: GlobalOptions, env: NodeJS.ProcessEnv) {
    this.#options = options;
    this.#env = env;
    this.json = options.json ?? false;
    this.out = new Output(process.stdout, options.color);
    this.err = new Output(process.stderr, options.color);
  }

  /** @throws ConfigError with everything that is wrong with the settings */
  async settings(options: Readonly<Record<string, unknown>> = {}): Promise<ResolvedConfig> {
    // Loaded when needed: help and version take half the time without it.
    const { CONFIG_FILE_VARIABLE, resolveConfig } = await import('../core/config.ts');
    const { checkFallbackUrl, checkStoreUrl } = await import('../open-store.ts');
    const { store, tenant, config } = this.#options;
    const file = readConfigFile(config ?? (this.#env[CONFIG_FILE_VARIABLE] || undefined));
    const urls = { store: checkStoreUrl, fallback: checkFallbackUrl };
    return resolveConfig({ options: { store, tenant, ...options }, env: this.#env, file, urls });
  }

  /** Opens the engine, does the work, and closes the engine, whatever came of it. */
  async withEngine<T>(work: (opened: Opened) => Promise<T>, options: OpenOptions = {}): Promise<T> {
    const resolved = await this.settings(options.settings);
    const { store: url, durability, lockTimeoutMs, timeoutMs, fallback } = resolved.config;
    const { checkStoreFile } = await import('./store-file.ts');
    checkStoreFile(url, options);
    const { logger } = options;
    await this.#tellOtherStore(resolved, logger);
    const { ContextEngine, openStore } = await import('../index.ts');
    const store = await openStore(url, { durability, lockTimeoutMs, timeoutMs, fallback, logger });
    const engine = new ContextEngine(store, await engineOptions(resolved.config, options));
    try {
      return await work({ engine, store, ...resolved });
    } finally {
      await engine.close();
    }
  }

  /** Another program's variable may lead away from what was kept in the default file: nobody is to wonder where it is. */
  async #tellOtherStore(
    { config, sources: { store } }: ResolvedConfig,
    logger: Logger | undefined,
  ): Promise<void> {
    const { settings } = await import('../core/settings.ts');
    const { redactUrl } = await import('../core/redact-url.ts');
    const { default: usual } = settings.store;
    const isAlias = store.from === 'environment' && store.name !== settings.store.env;
    if (!isAlias || !existsSync(usual.slice('file:'.length))) return;
    const url = redactUrl(config.store);
    if (logger)
      logger.warn({ store: url, from: store.name, unused: usual }, 'another store is here, and not used');
    else if (!this.json)
      this.err.line(
        `holdfast: the store is ${url}, as ${store.name} says; ${usual} is here, and not used. ${settings.store.env} settles it.`,
      );
  }
}

async function engineOptions(
  config: Config,
  { maintain = false, logger }: OpenOptions,
): Promise<EngineOptions> {
  const { strategiesIn } = await import('../core/settings.ts');
  const { tenant, journalKeepMs, highWater, lowWater, compressionRatio } = config;
  const sizes = {
    short: config.memoryShortSize,
    medium: config.memoryMediumSize,
    long: config.memoryLongSize,
  };
  return {
    tenant,
    maintenanceIntervalMs: maintain ? config.maintenanceIntervalMs : 0,
    journalKeepMs,
    memory: { sizes },
    compaction: {
      // A look at a window from outside is no reason to compact it.
      autoCompact: maintain && config.autoCompact,
      strategy: strategiesIn(config.compactionStrategy),
      highWater,
      lowWater,
      compressionRatio,
    },
    ...(config.sessionTtlMs > 0 && { sessionTtlMs: config.sessionTtlMs }),
    ...(config.maxTokens > 0 && { maxTokens: config.maxTokens }),
    taskMaxSize: config.taskMaxSize,
    health: { intervalMs: maintain ? config.healthIntervalMs : 0 },
    ...(logger && { logger }),
  };
}
