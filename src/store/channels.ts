/**
 * node:diagnostics_channel tracing channels: `kv-offload:store`, `kv-offload:retrieve`, `kv-offload:lookup`. The
 * context has `tokens` and `chunks`, and once a call settles `result` or `error`.
 */
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel';
import type { Prompt } from './prompt.js';

/** What subscribers are told of a call. */
export interface CallContext {
  /** Tokens of the prompt. */
  readonly tokens: number;
  /** Chunks after the skipped ones. */
  readonly chunks: number;
}

type Channel = TracingChannel<string, object>;

const CHANNELS = {
  store: tracingChannel('kv-offload:store') as unknown as Channel,
  retrieve: tracingChannel('kv-offload:retrieve') as unknown as Channel,
  lookup: tracingChannel('kv-offload:lookup') as unknown as Channel,
};

/** Runs a call under its channel. */
export function traced<T>(name: keyof typeof CHANNELS, prompt: Prompt, call: () => Promise<T>): Promise<T> {
  const context: CallContext = { tokens: prompt.length, chunks: prompt.chunkCount };
  return CHANNELS[name].tracePromise<undefined, [], T>(call, { ...context });
}
