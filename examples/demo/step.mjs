// @ts-check
/** One step of the demo, in a process of its own: `node step.mjs NAME DIRECTORY` prints its result as JSON. */
import * as serving from './serving.mjs';
import * as story from './story.mjs';

export const STEPS = {
  storeStory: story.storeStory,
  continueFromCache: story.continueFromCache,
  continueWithoutCache: story.continueWithoutCache,
  storePrompt: serving.storePrompt,
  retrieveSame: serving.retrieveSame,
  retrieveDiverging: serving.retrieveDiverging,
};

const [name, directory] = process.argv.slice(2);
try {
  const step = STEPS[/** @type {keyof typeof STEPS} */ (name)];
  process.stdout.write(JSON.stringify(await step(directory)));
} catch (error) {
  process.stderr.write(explain(error));
  process.exitCode = 1;
}

/**
 * The error with what caused it, since the parent sees this text only.
 *
 * @param {unknown} error
 * @returns {string}
 */
function explain(error) {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  const cause = explain(error.cause);
  return error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}
