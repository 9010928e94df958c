import { z } from 'zod';
import { idSchema, objectSchema, parseInput } from '../input.ts';
import { encodeJson, type Json, type JsonObject } from '../json.ts';
import { kinds, sessionExists } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { Fence } from '../sessions/lease.ts';
import { fenced, fenceSchema, lostLease } from '../sessions/leases.ts';
import type { Patch } from '../store.ts';
import { applyPatch } from './merge.ts';

const optionsSchema = z.strictObject({ ifVersion: z.int().min(0).optional(), lease: fenceSchema.optional() });

/** The document that the agents of a session share, and the version to write it on. */
export interface StateDocument {
  value: JsonObject;
  /** 0 for a document that was never written. */
  version: number;
}

export interface WriteState {
  /** Write only if the document is at this version (0: was never written); else `ConflictError`. */
  ifVersion?: number;
  /** Write only while this is the session's current lease (see `sessions.lease`); else `ConflictError`. */
  lease?: Fence;
}

/** Shared state: one JSON document a session. Concurrent writers to different fields lose nothing. */
export class StateService {
  readonly #context: ServiceContext;
  readonly #activity: Activity;

  constructor(context: ServiceContext, activity: Activity) {
    this.#context = context;
    this.#activity = activity;
  }

  /** @throws NotFoundError when the session is not there */
  async get(sessionId: string): Promise<StateDocument> {
    const id = parseInput(idSchema, sessionId, 'state.get: sessionId');
    await this.#activity.checkForRead(id);
    const state = await this.#context.records.get<JsonObject>(partitionOf(this.#context, id), kinds.state);
    return state ?? { value: {}, version: 0 };
  }

  /** Sets one field of the document. */
  async set(sessionId: string, key: string, value: Json, options: WriteState = {}): Promise<StateDocument> {
    parseInput(idSchema, key, 'state.set: key');
    const fields = `{${JSON.stringify(key)}:${encodeJson(value, 'value')}}`;
    return this.#patch('state.set', sessionId, options, { set: fields });
  }

  /** Merges a patch into the document, object by object; arrays are replaced. */
  async merge(
    sessionId: string,
    patch: Record<string, unknown>,
    options: WriteState = {},
  ): Promise<StateDocument> {
    parseInput(objectSchema, patch, 'state.merge: patch');
    return this.#patch('state.merge', sessionId, options, { merge: encodeJson(patch, 'patch') });
  }

  /** Removes one field of the document, or with no key the whole document's content. */
  async delete(sessionId: string, key?: string, options: WriteState = {}): Promise<StateDocument> {
    if (key !== undefined) {
      parseInput(idSchema, key, 'state.delete: key');
      const { ifVersion } = parseInput(optionsSchema, options, 'state.delete');
      const now = await this.get(sessionId);
      // Nothing to take away: no new version, no event.
      if (!Object.hasOwn(now.value, key) && (ifVersion ?? now.version) === now.version) return now;
    }
    return this.#change('state.delete', sessionId, options, (document) =>
      key === undefined
        ? {}
        : Object.fromEntries(Object.entries(document).filter(([field]) => field !== key)),
    );
  }

  /** Changes the document by a patch, as text: the caller's object can't change under us. */
  #patch(what: string, sessionId: string, options: WriteState, patch: Patch): Promise<StateDocument> {
    return this.#change(what, sessionId, options, (document) => applyPatch(document, patch), patch);
  }

  async #change(
    what: string,
    sessionId: string,
    options: WriteState,
    change: (document: JsonObject) => JsonObject,
    patch?: Patch,
  ): Promise<StateDocument> {
    const id = parseInput(idSchema, sessionId, `${what}: sessionId`);
    const { ifVersion, lease } = parseInput(optionsSchema, options, what);
    const writing = this.#activity.using(id, async (used) => {
      const { value, version } = await this.#context.records.update<JsonObject>(
        partitionOf(this.#context, id),
        kinds.state,
        (current) => ({
          value: change(current?.value ?? {}),
          also: [sessionExists, ...fenced(lease), ...used],
        }),
        { ...(ifVersion !== undefined && { ifVersion }), ...(patch && { patch }) },
      );
      return { value, version };
    });
    return writing.catch((error: unknown) => {
      throw lostLease(error, id);
    });
  }
}
