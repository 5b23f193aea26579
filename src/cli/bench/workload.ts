/** A seeded workload of conversations: growing prefixes, a system prompt for all, documents that several share. */

export interface WorkloadOptions {
  readonly seed: number;
  readonly users: number;
  /** Turns of each conversation. */
  readonly turns: number;
  /** Tokens that every prompt begins with. */
  readonly systemTokens: number;
  /** Documents that conversations choose among; the first are the most wanted. */
  readonly documents: number;
  readonly documentTokens: number;
  /** Tokens that a turn adds, question and answer: from half of it to one and a half times. */
  readonly turnTokens: number;
}

/** One request: all tokens of the conversation so far. */
export interface Request {
  readonly user: number;
  readonly turn: number;
  readonly tokens: Uint32Array;
}

/** Requests in the order in which they come. The same options give the same requests. */
export function* requestsOf(options: WorkloadOptions): Generator<Request, void, undefined> {
  const random = randomOf(options.seed);
  const vocabulary = 128_256;
  const text = (length: number) => Array.from({ length }, () => Math.floor(random() * vocabulary));
  const system = text(options.systemTokens);
  const documents = Array.from({ length: options.documents }, () => text(options.documentTokens));
  const conversations = Array.from({ length: options.users }, () => {
    // Squared: the first documents are wanted by more.
    const document = documents[Math.floor(random() ** 2 * documents.length)] ?? [];
    return { tokens: [...system, ...document], turn: 0 };
  });
  const open = [...conversations.keys()];
  while (open.length > 0) {
    const at = Math.floor(random() * open.length);
    const user = open[at] ?? 0;
    const conversation = conversations[user];
    if (conversation === undefined) return;
    conversation.tokens.push(...text(Math.ceil(options.turnTokens * (0.5 + random()))));
    yield { user, turn: conversation.turn, tokens: Uint32Array.from(conversation.tokens) };
    if (++conversation.turn === options.turns) open.splice(at, 1);
  }
}

/** Tokens of all requests together, at most: for the room that they take. */
export function mostTokens(options: WorkloadOptions): number {
  const { users, turns, systemTokens, documents, documentTokens, turnTokens } = options;
  return systemTokens + documents * documentTokens + users * turns * Math.ceil(turnTokens * 1.5);
}

/** mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
