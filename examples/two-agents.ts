/**
 * Two agents work on one session: they share a document (the state), talk in a channel, and wake each other by events.
 * Run it: npx node examples/two-agents.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:');
const session = engine.session('report-7');
await session.create({ userId: 'ida' });
await session.channels.open({
  id: 'desk',
  type: 'agent_to_agent',
  participants: [
    { id: 'researcher', role: 'agent' },
    { id: 'writer', role: 'agent' },
  ],
});

// Taken before anything happens, so that neither agent can miss what the other does first.
const start = await engine.events.cursor();
await Promise.all([researcher(), writer()]);

const { value } = await session.state.get();
console.log(`state: ${JSON.stringify(value)}`);
for (const message of await session.messages.list({ channel: 'desk' })) {
  console.log(`${message.name}: ${message.content}`);
}

async function researcher(): Promise<void> {
  for (const [topic, figure] of Object.entries({ bikes: 120, trams: 14 })) {
    // Deep merge: what the other agent writes beside it at the same time is not lost.
    await session.state.merge({ findings: { [topic]: figure } });
    await session.channels.send('desk', {
      from: 'researcher',
      to: 'writer',
      content: `I have counted the ${topic}.`,
    });
  }
}

async function writer(): Promise<void> {
  let drafts = 0;
  // With `consumer: 'writer'` in place of `after`, the position is kept in the store and survives the process.
  for await (const event of session.events({ after: start, types: ['message.appended'] })) {
    if (event.type !== 'message.appended' || event.channel !== 'desk') continue;
    const [message] = await session.messages.list({ channel: 'desk', after: event.firstSeq - 1, limit: 1 });
    if (message?.metadata?.to !== 'writer') continue;
    console.log(`the writer reads: ${message.content}`);
    await session.state.merge({ draft: { paragraphs: ++drafts } });
    if (drafts === 2) break;
  }
  await session.channels.send('desk', { from: 'writer', content: 'The draft is done.' });
}
