// @ts-check
/** Runs a step in a fresh process, so that nothing but the files passes from one step to the next. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const STEP = fileURLToPath(new URL('step.mjs', import.meta.url));

/** @typedef {typeof import('./step.mjs').STEPS} Steps */

/**
 * @template {keyof Steps} Name
 * @param {Name} name
 * @param {string} directory
 * @param {AbortSignal} signal kills the process
 * @returns {Promise<Awaited<ReturnType<Steps[Name]>> & { pid: number }>} once the process is gone
 */
export function runStep(name, directory, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn(process.execPath, [STEP, name, directory], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (complaint += text));
    /** @type {Error | undefined} */
    let failure;
    child.on('error', (error) => (failure = error));
    // 'close' comes after 'error' too, so the directory is never removed under a living process.
    child.on('close', (code, killedBy) => {
      const why = failure?.message ?? (complaint.trim() || `exit ${killedBy ?? code}`);
      if (signal.aborted) reject(asError(signal.reason));
      else if (code === 0) resolve({ ...JSON.parse(output), pid: child.pid });
      else reject(new Error(`demo step ${name} failed: ${why}`));
    });
  });
}

/** @param {unknown} reason */
function asError(reason) {
  return reason instanceof Error ? reason : new Error('the demo was stopped', { cause: reason });
}
