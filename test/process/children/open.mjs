// @ts-check
/** Opens an engine, stores and looks up; reports the code of what it was refused, or what became of it. */
import { CHUNK, argument, openEngine, payloads, report, targets, tokens } from './cache.mjs';

/** @param {unknown} error */
const codeOf = (error) => /** @type {{ code?: unknown }} */ (error).code ?? String(error);

const prompt = tokens(4 * CHUNK);
try {
  const engine = await openEngine(argument());
  const stored = await engine.store(prompt, payloads(4));
  const read = await engine.retrieve(prompt, targets(4));
  const found = await engine.lookup(prompt).catch(codeOf);
  await engine.close();
  report({
    readOnly: engine.paths[0]?.readOnly,
    stored: stored.chunks.map((chunk) => chunk.error?.code ?? chunk.outcome),
    retrieved: read.chunks.map((chunk) => chunk.error?.code ?? chunk.outcome),
    found,
  });
} catch (error) {
  report({ refused: codeOf(error) });
}
