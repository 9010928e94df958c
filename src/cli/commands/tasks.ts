import type { Command } from 'commander';
import type { TaskJson } from '../../core/tasks/task-json.ts';
import type { Task } from '../../core/tasks/tasks.ts';
import { type Define, examples, type Runner, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { clip, count, facts, safeLine, table, when } from '../text.ts';

interface Listing {
  session?: string;
  user?: string;
  chat?: string;
  limit: number;
  after?: string;
}

/** How wide an update may be; `--json` has it whole. */
const DATA_COLUMNS = 72;

const COLUMNS = [
  { head: 'task' },
  { head: 'status' },
  { head: 'user' },
  { head: 'session or chat' },
  { head: 'updates', right: true },
  { head: 'tokens', right: true },
  { head: 'opened' },
];

export const tasksCommand: Define = (program, run) => {
  const tasks = program
    .command('tasks')
    .summary('list tasks of agents, and show what one did')
    .description('Lists tasks of agents, and shows what one did, which files and models it used.')
    .addHelpText(
      'after',
      examples([
        ['holdfast tasks list --session ticket-1', 'the tasks of a session, newest first'],
        ['holdfast tasks list --user mara', 'those of a user'],
        ['holdfast tasks show 0b1c2d', 'what a task did'],
      ]),
    );
  listCommand(tasks, run);
  showCommand(tasks, run);
};

function listCommand(tasks: Command, run: Runner): void {
  tasks
    .command('list')
    .summary('list tasks, newest first')
    .description('Lists tasks, newest first; all of the tenant where nobody is named.')
    .option('--session <id>', 'only those of a session')
    .option('--user <id>', 'only those of a user')
    .option('--chat <id>', 'only those of a chat, be it a session or not')
    .option('--limit <n>', 'how many, 1 to 1000', wholeNumber, 50)
    .option('--after <cursor>', 'the page after: what the page before ended with')
    .action(
      run<Listing>((cli, _args, { session, user, chat, limit, after }) =>
        cli.withEngine(async ({ engine }) => {
          const whose = { sessionId: session, userId: user, chatId: chat };
          const page = await engine.tasks.list({ ...whose, limit, after });
          if (cli.json) cli.out.json(page);
          else printTasks(cli.out, page.tasks, page.next);
          return undefined;
        }),
      ),
    );
}

function showCommand(tasks: Command, run: Runner): void {
  tasks
    .command('show')
    .argument('<id>', "the task's id")
    .summary('show a task: facts, files, models and history')
    .description('Shows a task: its facts, the files and models that it used, and its history.')
    .option('--limit <n>', 'how many updates, the newest', wholeNumber, 50)
    .action(
      run<{ limit: number }>((cli, [id], { limit }) =>
        cli.withEngine(async ({ engine }) => {
          const task = (await engine.tasks.get(id!)).toJSON();
          if (cli.json) cli.out.json(task);
          else printTask(cli.out, task, limit);
          return undefined;
        }),
      ),
    );
}

function printTasks(out: Output, tasks: readonly Task[], next: string | undefined): void {
  const rows = tasks.map((task) => [
    safeLine(task.id),
    task.status,
    safeLine(task.userId),
    safeLine(task.sessionId ?? task.chatId),
    count(task.updates),
    count(task.usage.inputTokens + task.usage.outputTokens),
    when(task.createdAt),
  ]);
  if (rows.length === 0) out.line('no tasks');
  else for (const line of table(COLUMNS, rows)) out.line(line);
  if (next !== undefined) out.line(`more: --after ${next}`);
}

function printTask(out: Output, task: TaskJson, limit: number): void {
  const { usage } = task;
  const status = task.closedAt === undefined ? 'open' : task.failed ? 'failed' : 'completed';
  const lines: [string, string][] = [
    ['task', safeLine(task.id)],
    ['status', `${status}, ${count(Math.round(task.durationMs))} ms`],
    ['user', safeLine(task.userId)],
    ['session or chat', safeLine(task.sessionId ?? task.chatId)],
    ['opened', when(task.createdAt)],
    ['files', Object.keys(task.fileTracker).map(safeLine).join(', ') || '–'],
    [
      'calls',
      `${count(usage.calls)}, ${count(usage.inputTokens)} tokens in, ${count(usage.outputTokens)} out`,
    ],
  ];
  for (const line of facts(lines)) out.line(line);
  const shown = limit === 0 ? [] : task.history.slice(-limit);
  const rows = shown.map(({ timestamp, updateType, data }) => [
    when(timestamp),
    safeLine(updateType),
    clip(safeLine(typeof data === 'string' ? data : JSON.stringify(data)), DATA_COLUMNS),
  ]);
  if (rows.length === 0) return;
  out.line();
  for (const line of table([{ head: 'when' }, { head: 'update' }, { head: 'data' }], rows)) out.line(line);
}
