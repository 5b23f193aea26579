/** Runs named steps one after the other, a line each, and says at the end how many passed. */
import { performance } from 'node:perf_hooks';
import { CommandFailed } from './run.mjs';

/** Thrown by a step that cannot run here; said aloud, and a failure where CI is set, since CI installs all it needs. */
export class Skipped extends Error {}

/** @param {number} from */
const secondsSince = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

/**
 * @param {string} name
 * @param {Error} error
 */
function report(name, error) {
  const known = error instanceof CommandFailed || error instanceof Skipped;
  console.error(`FAILED  ${name}: ${known ? error.message : error.stack}`);
  if (error instanceof CommandFailed && error.log !== '') console.error(error.log.trimEnd());
}

/**
 * @param {string} title what the closing line calls them
 * @param {[name: string, step: () => Promise<string | undefined>][]} steps each may return a word to print beside its name
 * @returns {Promise<boolean>} whether all passed
 */
export async function runSteps(title, steps) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, step] of steps) {
    const from = performance.now();
    try {
      const note = await step();
      count.passed += 1;
      console.log(`ok      ${name} (${note === undefined ? '' : `${note}, `}${secondsSince(from)})`);
    } catch (error) {
      if (error instanceof Skipped && !process.env.CI) {
        count.skipped += 1;
        console.log(`SKIPPED ${name}: ${error.message}`);
      } else {
        count.failed += 1;
        report(name, error);
      }
    }
  }
  const skipped = count.skipped === 0 ? '' : `, ${count.skipped} SKIPPED`;
  console.log(`${title}: ${count.passed} passed, ${count.failed} failed${skipped}`);
  return count.failed === 0;
}
