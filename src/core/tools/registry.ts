import { ConflictError, InvalidInputError, NotFoundError } from '../errors.ts';
import { nearest } from '../suggest.ts';
import { isTool, type Tool } from './tool.ts';

/**
 * The tools that are known. Those of the engine that was opened are there in every tenant; those that were registered in
 * a tenant's view, in that tenant alone, in front of the others.
 */
export class ToolRegistry {
  readonly #shared: ToolRegistry | undefined;
  readonly #tenant: string | undefined;
  readonly #own = new Map<string, Tool>();
  readonly #tenants = new Map<string, ToolRegistry>();

  constructor(shared?: ToolRegistry, tenant?: string) {
    this.#shared = shared;
    this.#tenant = tenant;
  }

  /** That of a tenant. It stays, however often views of the tenant come and go, once it has tools of its own. */
  of(tenant: string): ToolRegistry {
    return this.#tenants.get(tenant) ?? new ToolRegistry(this, tenant);
  }

  /** All or none. */
  add(tools: readonly unknown[], replace: boolean): void {
    const issues = tools.flatMap((tool, i) =>
      isTool(tool) ? [] : [{ path: `tools[${i}]`, message: 'is no tool: make it with defineTool' }],
    );
    if (issues.length > 0) throw new InvalidInputError('tools.register', issues);
    const names = new Set<string>();
    for (const { name } of tools as readonly Tool[]) {
      if (names.has(name) || (!replace && this.#own.has(name))) throw taken(name);
      names.add(name);
    }
    for (const tool of tools as readonly Tool[]) this.#own.set(tool.name, tool);
    if (this.#shared) this.#shared.#tenants.set(this.#tenant!, this);
  }

  delete(name: string): Tool | undefined {
    const tool = this.#own.get(name);
    this.#own.delete(name);
    return tool;
  }

  find(name: string): Tool | undefined {
    return this.#own.get(name) ?? this.#shared?.find(name);
  }

  /** @throws NotFoundError with the name that is nearest */
  get(name: string): Tool {
    const tool = this.find(name);
    if (tool) return tool;
    const near = nearest(
      name,
      this.all().map((one) => one.name),
    );
    throw new NotFoundError('tool', name, {
      hint: near === undefined ? 'Register it first: engine.tools.register(tool).' : `Did you mean ${near}?`,
    });
  }

  /** In the order of their names. */
  all(): Tool[] {
    const byName = new Map([
      ...(this.#shared?.all() ?? []).map((tool) => [tool.name, tool] as const),
      ...this.#own,
    ]);
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function taken(name: string): ConflictError {
  return new ConflictError('a tool of that name is registered', undefined, {
    hint: 'Take another name, or pass { replace: true }.',
    details: { kind: 'tool', name },
  });
}
