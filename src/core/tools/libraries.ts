/** Libraries that take their time to load: a tenth of a second each, which only those pay who need them. */
import { createRequire } from 'node:module';
import type { Ajv } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import type { RateLimiterRes, RateLimiterStoreAbstract } from 'rate-limiter-flexible';

const require = createRequire(import.meta.url);

/** For JSON Schema of draft-07. */
export function loadAjv(): typeof Ajv {
  return require('ajv').Ajv;
}

/** For JSON Schema of draft 2020-12. */
export function loadAjv2020(): typeof Ajv2020 {
  return require('ajv/dist/2020.js').Ajv2020;
}

/** What limiters of any store are made of, which the library's main module leaves out at run time. */
export function loadRateLimiter(): {
  Base: typeof RateLimiterStoreAbstract;
  Result: typeof RateLimiterRes;
} {
  return {
    Base: require('rate-limiter-flexible/lib/RateLimiterStoreAbstract.js'),
    Result: require('rate-limiter-flexible/lib/RateLimiterRes.js'),
  };
}
