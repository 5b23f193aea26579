/** What of a node's files may leave it: a list of what is taken, everything else is not. */

type Rule = readonly [path: RegExp, keep: (text: string) => string];

const whole = (text: string) => text;
const lines = (pattern: RegExp) => (text: string) =>
  text
    .split('\n')
    .filter((line) => pattern.test(line))
    .map((line) => `${line}\n`)
    .join('');

const RULES: readonly Rule[] = [
  [/^\/proc\/(modules|driver\/nvidia\/version|driver\/nvidia-fs\/version|self\/limits)$/, whole],
  [/^\/proc\/self\/status$/, lines(/^(CapEff|Uid):/)],
  [/^\/proc\/meminfo$/, lines(/^Mem(Total|Available):/)],
  [/^\/proc\/self\/mountinfo$/, mountinfo],
  [/^\/proc\/(self\/)?mounts$/, mounts],
  // Only that it is a container, and whose.
  [/^\/proc\/1\/cgroup$/, (text) => `${/kubepods|docker|containerd|libpod/.exec(text)?.[0] ?? ''}\n`],
  [/^\/sys\/(module\/nvidia_fs|class\/net|devices|kernel\/mm\/memory_peers)\//, whole],
  [/^\/etc\/os-release$|^\/usr\/lib\/os-release$/, whole],
  // cuFile's configuration, wherever it lies; nothing else that is read ends so.
  [/\.json$/, whole],
  [/^\/cmd\/ldconfig\.txt$/, lines(/libcufile|libcuda\.so/)],
  [/^\/cmd\/(gdscheck|nvidia-smi|ip|df)\.txt$/, whole],
];

/** The part of a text that is recorded; undefined: none of it. That a file exists may always be told. */
export function withoutSecrets(path: string, text: string): string | undefined {
  if (text === '') return '';
  return RULES.find(([pattern]) => pattern.test(path))?.[1](text);
}

/** WekaFS mounts whole; of others point and type, and whether they are read-only. */
function mountinfo(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-', 6);
      if (dash < 0) return [];
      const type = fields[dash + 1] ?? '';
      if (type === 'wekafs') return [`${line}\n`];
      const [id = '', parent = '', device = '', , point = '', options = ''] = fields;
      return [`${id} ${parent} ${device} / ${point} ${access(options)} - ${type} hidden ${access(fields[dash + 3])}\n`];
    })
    .join('');
}

function mounts(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => {
      const [, point, type, options] = line.split(' ');
      if (type === undefined) return [];
      return [type === 'wekafs' ? `${line}\n` : `hidden ${point ?? ''} ${type} ${access(options)} 0 0\n`];
    })
    .join('');
}

function access(options = ''): string {
  return options.split(',').includes('ro') ? 'ro' : 'rw';
}
