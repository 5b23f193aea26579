/** Drives lmcache_peer.py: one question, one answer. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Set by scripts/test-interop.mjs: the Python that has LMCache, and the folder that has the stand-in libcufile. */
export const PYTHON = process.env['KV_OFFLOAD_INTEROP_PYTHON'];
const LIBRARIES = process.env['KV_OFFLOAD_INTEROP_LIBRARIES'] ?? '';

/** A chunk that LMCache is to store; its bytes follow from the seed. */
export interface PeerChunk {
  readonly key: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly fmt: number;
  readonly seed: number;
}

/** What LMCache gave for a key. */
export interface PeerLoad {
  readonly hit: boolean;
  readonly shape?: number[];
  readonly dtype?: string;
  readonly fmt?: number;
  readonly sha256?: string;
  readonly error?: string;
}

interface Answers {
  open: { fstype: string };
  store: { path: string; sha256: string }[];
  load: PeerLoad[];
  scan: string[];
  config: Record<string, unknown>;
  hash: { start: number; end: number; key: string }[];
}

/** A running LMCache. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param where - on a GPU, or with the stand-in libcufile on none */
  constructor(python: string, where: 'gpu' | 'host' = 'host') {
    const script = fileURLToPath(new URL('./lmcache_peer.py', import.meta.url));
    const env = { ...process.env, ...(where === 'host' && { LD_LIBRARY_PATH: LIBRARIES }), PYTHONHASHSEED: '0' };
    const words = where === 'gpu' ? [script, '--gpu'] : [script];
    this.#child = spawn(python, words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('the peer has no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask<Op extends keyof Answers>(op: Op, request: Record<string, unknown> = {}): Promise<Answers[Op]> {
    this.#child.stdin?.write(`${JSON.stringify({ op, ...request })}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`LMCache ended at ${op}`);
    const reply = JSON.parse(line.value) as { answer?: Answers[Op]; error?: string };
    if (reply.answer === undefined) throw new Error(`LMCache, ${op}: ${reply.error ?? 'no answer'}`);
    return reply.answer;
  }

  close(): void {
    this.#child.stdin?.end();
  }
}
