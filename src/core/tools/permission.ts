/** Who may call what. */
import { HoldfastError } from '../errors.ts';
import type { Halt } from './halt.ts';
import { ownCopy } from './own-copy.ts';
import type { Tool, ToolPermission } from './tool.ts';

/** A call that somebody has to decide on. */
export interface PermissionRequest {
  tool: string;
  description: string;
  permission: ToolPermission;
  category?: string | undefined;
  tags: readonly string[];
  /** What the tool is to be called with: a copy. */
  input: unknown;
  tenant: string;
  /** Absent: nobody vouches for the caller. */
  role?: string | undefined;
  userId?: string | undefined;
  sessionId?: string | undefined;
  toolCallId?: string | undefined;
}

export type Decision = 'allow' | 'deny' | 'ask';
/** A decision, and what the caller is told of it. */
export type Decided = Decision | { decision: Decision; reason?: string | undefined };

/** Decides on a call, in place of the rule by roles. */
export type ToolPolicy = (request: PermissionRequest) => Decided | PromiseLike<Decided>;

/** Asks somebody: `true` is a yes. May take its time; the signal is aborted when nobody waits any longer. */
export type Approve = (
  request: PermissionRequest,
  options: { signal: AbortSignal },
) => boolean | Approval | PromiseLike<boolean | Approval>;
export interface Approval {
  approved: boolean;
  reason?: string | undefined;
}

export interface PermissionOptions {
  policy: ToolPolicy | undefined;
  approve: Approve | undefined;
  /** How long a person may take (milliseconds). */
  approvalTimeoutMs: number;
  /** How long the policy may take (milliseconds). */
  policyTimeoutMs: number;
  onError(error: unknown): void;
}

/** `public`: everybody. `restricted`: every role but none and `public`. `admin`: that role. `ask`: whom somebody lets. */
export function defaultPolicy({ permission, role = 'public' }: PermissionRequest): Decision {
  if (permission === 'ask') return 'ask';
  if (permission === 'public' || role === 'admin') return 'allow';
  return permission === 'restricted' && role !== 'public' ? 'allow' : 'deny';
}

/**
 * Goes ahead where a call is allowed. A policy or a hook that fails allows nothing.
 * @throws HoldfastError: `forbidden`, `timeout` when nobody decides in time, or the halt's reason
 */
export async function checkPermission(
  tool: Tool,
  request: PermissionRequest,
  { options, halt, approved }: { options: PermissionOptions; halt: Halt; approved: boolean },
): Promise<void> {
  const { decision, reason } = await judge(request, options, halt);
  if (decision === 'allow' || (decision === 'ask' && approved)) return;
  if (decision === 'deny') {
    // Of roles only the rule by roles knows.
    if (options.policy) throw denied(tool, reason ?? 'is not allowed to this caller');
    throw denied(tool, roleReason(request), roleHint(tool));
  }
  if (!options.approve) {
    throw denied(tool, 'needs the approval of a person, and there is nobody to ask', {
      hint: 'Give the engine a hook that asks: tools: { approve }.',
    });
  }
  const approval = await ask(options.approve, request, options, halt);
  if (!approval.approved) throw denied(tool, approval.reason ?? 'was not approved');
}

interface Judgement {
  decision: Decision;
  reason?: string | undefined;
}

async function judge(
  request: PermissionRequest,
  { policy = defaultPolicy, policyTimeoutMs, onError }: PermissionOptions,
  halt: Halt,
): Promise<Judgement> {
  const asked = policy === defaultPolicy ? request : withOwnInput(request);
  const judged = judgedBy(policy, asked).catch((error: unknown) => {
    onError(error);
    return { decision: 'deny', reason: 'is not allowed: the policy failed' } as const;
  });
  const late = () => undecided(request.tool, 'the policy has not decided', policyTimeoutMs);
  return halt.within(policyTimeoutMs, judged, late);
}

/** Whatever is not said clearly is a no. */
async function judgedBy(policy: ToolPolicy, request: PermissionRequest): Promise<Judgement> {
  const given = await policy(request);
  const { decision, reason } = typeof given === 'string' ? { decision: given } : (given ?? {});
  return {
    decision: decision === 'allow' || decision === 'ask' ? decision : 'deny',
    reason: textOf(reason),
  };
}

async function ask(
  approve: Approve,
  request: PermissionRequest,
  { approvalTimeoutMs, onError }: PermissionOptions,
  halt: Halt,
): Promise<Approval> {
  const waiting = new AbortController();
  const asked = approvedBy(approve, withOwnInput(request), waiting.signal).catch((error: unknown) => {
    onError(error);
    return { approved: false, reason: 'was not approved: asking for it failed' };
  });
  const late = () => undecided(request.tool, 'nobody has approved it', approvalTimeoutMs);
  try {
    return await halt.within(approvalTimeoutMs, asked, late);
  } finally {
    waiting.abort();
  }
}

async function approvedBy(
  approve: Approve,
  request: PermissionRequest,
  signal: AbortSignal,
): Promise<Approval> {
  const given = await approve(request, { signal });
  return typeof given === 'object' && given !== null
    ? { approved: given.approved === true, reason: textOf(given.reason) }
    : { approved: given === true };
}

function textOf(reason: unknown): string | undefined {
  return typeof reason === 'string' ? reason : undefined;
}

/** So that what is decided on is what the tool is called with, whatever is done to the request. */
function withOwnInput(request: PermissionRequest): PermissionRequest {
  try {
    return { ...request, input: ownCopy(request.input) };
  } catch {
    return request;
  }
}

function denied(tool: Tool, reason: string, { hint }: { hint?: string } = {}): HoldfastError {
  const { name, permission } = tool;
  return new HoldfastError('forbidden', `the tool ${name} ${reason}`, {
    ...(hint !== undefined && { hint }),
    details: { tool: name, permission },
  });
}

function roleReason({ permission, role }: PermissionRequest): string {
  const whose = role === undefined ? 'a caller without a role' : 'this role';
  return `is ${permission}: ${whose} may not call it`;
}

function roleHint({ permission }: Tool): { hint?: string } {
  if (permission === 'admin') return { hint: "Call it with role: 'admin'." };
  return permission === 'restricted' ? { hint: 'Call it with the role that the caller has.' } : {};
}

function undecided(tool: string, what: string, timeoutMs: number): HoldfastError {
  return new HoldfastError('timeout', `${what} within ${timeoutMs} ms`, { details: { tool, timeoutMs } });
}
