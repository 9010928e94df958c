import { expect, test } from 'vitest';
import type { ChannelType, Participant } from '../../../src/core/channels/channels.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../../src/index.ts';
import { newSession, onEveryStore } from '../../support/engines.ts';

const people: Record<string, Participant> = {
  ann: { id: 'ann', role: 'user' },
  bot: { id: 'bot', role: 'agent' },
  bee: { id: 'bee', role: 'agent' },
  boss: { id: 'boss', role: 'mc' },
};
const named = (names: string) => names.split(' ').map((name) => people[name]!);

onEveryStore('channels', (open) => {
  const fitting: [ChannelType, string][] = [
    ['user_to_agent', 'ann bot'],
    ['agent_to_agent', 'bot bee'],
    ['mc_to_agent', 'boss bot bee'],
    ['user_to_mc', 'ann boss'],
  ];
  test.each(fitting)('of type %s may be between %s', async (type, names) => {
    const engine = await open();
    await newSession(engine);
    const channel = await engine.channels.open('s', { type, participants: named(names), metadata: { a: 1 } });
    expect(await engine.channels.get('s', channel.id)).toEqual(channel);
    expect(await engine.channels.list('s')).toEqual([channel]);
  });

  const unfitting: [ChannelType, string, RegExp][] = [
    ['user_to_agent', 'ann boss', /agent is missing.*has no place for mc/],
    ['agent_to_agent', 'ann bot', /agent is missing.*has no place for user/],
    ['mc_to_agent', 'bot bee', /mc is missing/],
    ['user_to_mc', 'ann boss bot', /has no place for agent/],
    ['agent_to_agent', 'bot bot', /the same id twice/],
    ['user_to_agent', 'ann', /at least 2 items/],
    ['chat' as ChannelType, 'ann bot', /type: expected one of user_to_agent/],
  ];
  test.each(unfitting)('of type %s may not be between %s', async (type, names, problem) => {
    const engine = await open();
    await newSession(engine);
    const opening = engine.channels.open('s', { type, participants: named(names) });
    await expect(opening).rejects.toThrow(InvalidInputError);
    await expect(opening).rejects.toThrow(problem);
    expect(await engine.channels.list('s')).toEqual([]);
  });

  test('keep their messages apart from each other and from the conversation', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.channels.open('s', { id: 'a', type: 'user_to_agent', participants: named('ann bot') });
    await engine.channels.open('s', { id: 'b', type: 'agent_to_agent', participants: named('bot bee') });
    await engine.messages.append('s', { role: 'user', content: 'in the open' });
    const sent = await engine.channels.send('s', 'a', { from: 'ann', to: 'bot', content: 'psst' });
    expect(sent).toMatchObject({ seq: 1, role: 'user', name: 'ann', metadata: { from: 'ann', to: 'bot' } });
    const reply = { from: 'bot', content: 'hm', metadata: { mood: 'odd' } };
    expect(await engine.channels.send('s', 'a', reply)).toMatchObject({
      role: 'assistant',
      metadata: { mood: 'odd', from: 'bot' },
    });
    await engine.channels.send('s', 'b', { from: 'bot', content: 'to bee', role: 'user' });
    const contents = async (channel?: string) =>
      (await engine.messages.list('s', channel ? { channel } : {})).map(({ content }) => content);
    expect(await contents()).toEqual(['in the open']);
    expect(await contents('a')).toEqual(['psst', 'hm']);
    expect(await contents('b')).toEqual(['to bee']);
    expect((await engine.sessions.get('s')).messageCount).toBe(1);
    await engine.messages.clear('s', { channel: 'a' });
    expect([await contents(), await contents('a'), await contents('b')].map((list) => list.length)).toEqual([
      1, 0, 1,
    ]);
    const window = await engine.window.build('s', { maxTokens: 100, channel: 'b' });
    expect(window.messages.map(({ content }) => content)).toEqual(['to bee']);
  });

  test('are given back when they are opened again as they are, in whatever order, and refused as another', async () => {
    const engine = await open();
    await newSession(engine);
    const input = { id: 'a', type: 'agent_to_agent' as const, participants: named('bot bee') };
    const first = await engine.channels.open('s', { ...input, metadata: { kept: true } });
    expect(await engine.channels.open('s', { ...input, participants: named('bee bot') })).toEqual(first);
    const other = { ...input, type: 'user_to_agent' as const, participants: named('ann bot') };
    await expect(engine.channels.open('s', other)).rejects.toThrow(ConflictError);
    expect(await engine.channels.get('s', 'a')).toEqual(first);
  });

  test('take messages from and to their participants only', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.channels.open('s', { id: 'a', type: 'user_to_agent', participants: named('ann bot') });
    await expect(engine.channels.send('s', 'a', { from: 'bee', content: 'x' })).rejects.toThrow(
      /from: is no participant of the channel; they are ann, bot/,
    );
    await expect(engine.channels.send('s', 'a', { from: 'ann', to: 'bee', content: 'x' })).rejects.toThrow(
      /to: is no/,
    );
    await expect(engine.channels.send('s', 'b', { from: 'ann', content: 'x' })).rejects.toThrow(
      NotFoundError,
    );
    await expect(engine.channels.send('s', 'a', { content: 'x' } as never)).rejects.toThrow(
      /from: is missing/,
    );
    await expect(
      engine.channels.open('none', { type: 'user_to_agent', participants: named('ann bot') }),
    ).rejects.toThrow(NotFoundError);
    expect(await engine.messages.list('s', { channel: 'a' })).toEqual([]);
  });
});
