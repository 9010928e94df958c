/**
 * Keeps web pages out. A browser sends requests for any page that asks it to, also to addresses that only its own
 * machine reaches: a page of another origin must not change anything, and one whose name was pointed at this server
 * (DNS rebinding) must not read anything either. Programs send no `Origin` and meet none of this.
 */
import type { MiddlewareHandler } from 'hono';
import { ConfigError, HoldfastError, type InputIssue, quote } from '../core/errors.ts';
import type { ServerEnv } from './route.ts';

const everyAddress = ['0.0.0.0', '[::]'];

/**
 * Refuses requests for hosts that are not known, and those that a page of another origin makes.
 * @param allowedHosts names and addresses without ports, beside the loopback ones; any host where undefined
 * @throws ConfigError when one of them is no name or address
 */
export function sameOrigin(allowedHosts: readonly string[] | undefined): MiddlewareHandler<ServerEnv> {
  const known = allowedHosts && readHosts(allowedHosts);
  return (c, next) => {
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    if (known) checkHost(host, known);
    checkOrigin(host, c.req.header('origin'), c.req.header('sec-fetch-site'));
    return next();
  };
}

/**
 * The hosts that a server on `host` knows beside the loopback ones.
 * @returns `allowed` alone where it listens on every address: it has names then that it can't know
 */
export function hostsOf(host: string, allowed?: readonly string[]): readonly string[] | undefined {
  const name = hostname(host);
  if (host === '' || (name && everyAddress.includes(name))) return allowed;
  // What is no host at all is told when it is listened on.
  return name ? [...(allowed ?? []), host] : (allowed ?? []);
}

function checkHost(host: string, known: ReadonlySet<string>): void {
  const name = parse(`http://${host}`)?.hostname;
  if (name && (isLoopback(name) || known.has(name))) return;
  throw new HoldfastError('forbidden', `${quote(host)} is no host of this server`, {
    hint: 'Use the address it listens on, or name this host in allowedHosts.',
  });
}

function checkOrigin(host: string, origin: string | undefined, site: string | undefined): void {
  if (site !== 'cross-site' && (origin === undefined || isOf(origin, host))) return;
  throw new HoldfastError('forbidden', 'a page of another origin may not use this server', {
    hint: 'Let a program call it, such as the server that the page came from; a proxy must pass Host on as it is.',
  });
}

/** Whether an origin is the host's own. The scheme is the client's: a proxy may have ended TLS. */
function isOf(origin: string, host: string): boolean {
  const url = parse(origin);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return false;
  return parse(`${url.protocol}//${host}`)?.host === url.host;
}

/** `localhost` and what ends in it is nobody's to register; 127.0.0.0/8 and ::1 never leave the machine. */
function isLoopback(name: string): boolean {
  return /^(.+\.)?localhost$|^127(\.\d+){3}$|^\[::1\]$/.test(name);
}

function readHosts(hosts: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  const issues: InputIssue[] = [];
  for (const [at, host] of hosts.entries()) {
    const name = hostname(host);
    if (name) names.add(name);
    else
      issues.push({ path: `allowedHosts[${at}]`, message: 'must be a name or an address, without a port' });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return names;
}

/** A host as URLs write it: in lower case, IPv6 in brackets and without a zone. */
function hostname(host: string): string | undefined {
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  return parse(`http://${bare.includes(':') ? `[${bare}]` : bare}`)?.hostname;
}

/** Only what is an origin: anything before or after the host would be read in two ways. */
function parse(text: string): URL | undefined {
  return /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\]+$/i.test(text) ? (URL.parse(text) ?? undefined) : undefined;
}
