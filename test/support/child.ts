/** Processes of tests: what a child of test/process/children does with the built package. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  /** Options of node, before the script. */
  readonly node?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  /** A shell's line before the process becomes node, such as `ulimit -n 40`. */
  readonly before?: string;
  /** Told each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** A test's own deadline ends the child too. */
const LONGEST_MS = 60_000;

/** Runs test/process/children/`name`.mjs with an argument; resolves once the process is gone. */
export function runChild(name: string, argument: object, options: ChildOptions = {}): Promise<Finished> {
  const script = fileURLToPath(new URL(`../process/children/${name}.mjs`, import.meta.url));
  const node = [process.execPath, ...(options.node ?? []), script, JSON.stringify(argument)];
  const command = options.before === undefined ? node : ['sh', '-c', `${options.before}; exec "$@"`, 'sh', ...node];
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onOutput?.(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** What a child printed, as JSON; throws what it complained of where it did not end well. */
export async function childResult<Result>(name: string, argument: object, options: ChildOptions = {}): Promise<Result> {
  const { code, signal, stdout, stderr } = await runChild(name, argument, options);
  if (code !== 0 || stderr !== '') throw new Error(`child ${name} ended with ${signal ?? code}: ${stderr}`);
  return JSON.parse(stdout) as Result;
}
