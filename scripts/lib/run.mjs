/**
 * Child processes: quiet until they fail, or straight to the terminal.
 *
 *     await quiet('tsc', [process.execPath, tool('typescript/bin/tsc'), '--noEmit']);
 *
 * @typedef {{ cwd?: string, env?: Record<string, string> }} Options `env` is added to this process's own
 */
import { spawn } from 'node:child_process';
import { root } from './paths.mjs';

/** A command that ended badly. `log` is all it printed, to be shown once by whoever catches this. */
export class CommandFailed extends Error {
  /**
   * @param {string} message
   * @param {string} log
   */
  constructor(message, log) {
    super(message);
    this.name = 'CommandFailed';
    this.log = log;
  }
}

/**
 * @param {string[]} argv
 * @param {import('node:child_process').StdioOptions} stdio
 * @param {Options} options
 */
const start = (argv, stdio, { cwd = root, env = {} }) =>
  spawn(argv[0], argv.slice(1), { cwd, stdio, env: { ...process.env, ...env } });

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<string>}
 */
const ending = (child) =>
  new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });

/**
 * Runs a command, keeps its output and returns it; throws {@link CommandFailed} with the whole log otherwise.
 *
 * @param {string} what named in the error
 * @param {string[]} argv
 * @param {Options & { input?: string | Uint8Array, expect?: number }} options
 */
export async function quiet(what, argv, { input, expect = 0, ...options } = {}) {
  const child = start(argv, ['pipe', 'pipe', 'pipe'], options);
  /** @type {{ all: Buffer[], stdout: Buffer[] }} */
  const pieces = { all: [], stdout: [] };
  child.stdout?.on('data', (data) => {
    pieces.all.push(data);
    pieces.stdout.push(data);
  });
  child.stderr?.on('data', (data) => pieces.all.push(data));
  child.stdin?.on('error', () => {
    // A command need not read its input.
  });
  child.stdin?.end(input);
  const end = await ending(child).catch((error) => {
    throw new CommandFailed(`${what}: cannot run ${argv[0]} (${error.code})`, '');
  });
  const log = Buffer.concat(pieces.all).toString();
  if (end !== `exit code ${expect}`) {
    const command = argv.join(' ');
    throw new CommandFailed(
      `${what}: ${end} from ${command.length < 200 ? command : `${command.slice(0, 200)} …`}`,
      log,
    );
  }
  return { log, stdout: Buffer.concat(pieces.stdout).toString() };
}

/**
 * Runs a command with its output shown as it comes.
 *
 * @param {string} what
 * @param {string[]} argv
 * @param {Options} options
 */
export async function shown(what, argv, options = {}) {
  const end = await ending(start(argv, ['ignore', 'inherit', 'inherit'], options));
  if (end !== 'exit code 0') throw new CommandFailed(`${what}: ${end}`, '');
}
