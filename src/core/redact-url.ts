const secretParameter = /(pass(word)?|pwd|secret|token|key|auth|credential|signature)/i;

/**
 * A URL without its secrets, for logs and messages: a password, and parameters that sound like one, become `***`.
 * What can't be read as a URL is cut down to its scheme. `file:` and `memory:` have no secrets and stay as they are.
 */
export function redactUrl(url: string): string {
  if (/^(file|memory):/i.test(url)) return url;
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0];
  if (!scheme) return '***';
  // Several hosts in one URL (`redis-cluster://a,b`) are none of the standard's.
  const [, authority = '', rest = ''] = /^[^:]*:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (!authority) return `${scheme}***`;
  // The last @ ends the credentials: a password may have one, written plainly by mistake.
  const at = authority.lastIndexOf('@');
  const user = authority.slice(0, Math.max(at, 0)).split(':')[0];
  const who = at < 0 ? '' : authority.slice(0, at).includes(':') ? `${user}:***@` : '***@';
  return `${scheme}//${who}${authority.slice(at + 1)}${redactParameters(rest)}`;
}

function redactParameters(rest: string): string {
  return rest.replace(/([?&;])([^=&;#]+)=([^&;#]*)/g, (whole, mark: string, name: string) =>
    secretParameter.test(name) ? `${mark}${name}=***` : whole,
  );
}
