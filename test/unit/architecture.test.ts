import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** In the order that data flows: a module imports from its own stage and those before it. */
const STAGES = [
  'errors',
  'native',
  'device-errors',
  'config',
  'chunks',
  'dtypes',
  'hash',
  'keys',
  'layout',
  'header-buffers',
  'plan',
  'outcomes',
  'transfer',
  'store',
  'readiness',
  'index',
  'cli',
];

function filesBelow(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => posix.join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

/** A file without the lines that are comments. */
function codeOf(file: string): string {
  return readFileSync(join(root, file), 'utf8').replace(/^\s*(\*|\/\/|\/\*).*$/gm, '');
}

/** What comes after `from` or in `import(…)`, type imports too: a type that points backward ties stages as well. */
function importsOf(file: string): string[] {
  const found = codeOf(file).matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]([^'"\s]+)['"]/g);
  return [...found].map((match) => match[1] ?? '');
}

/** src/hash/cbor.ts → hash */
const stageOf = (file: string): string => (file.split('/')[1] ?? '').replace(/\.ts$/, '');

const sources = filesBelow('src', /\.ts$/);
const imports = sources.flatMap((file) =>
  importsOf(file).map((to) => ({
    file,
    to: to.startsWith('.') ? posix.join(posix.dirname(file), to).replace(/\.js$/, '.ts') : to,
  })),
);

describe('the flow of imports', () => {
  it('sees the imports at all', () => {
    expect(imports.length).toBeGreaterThan(sources.length);
    expect(imports.map(({ to }) => to)).toContain('src/errors.ts');
  });

  it('knows the stage of every module', () => {
    expect(sources.filter((file) => !STAGES.includes(stageOf(file)))).toEqual([]);
  });

  it('never runs backward', () => {
    const backward = imports.filter(
      ({ file, to }) => to.startsWith('src/') && STAGES.indexOf(stageOf(to)) > STAGES.indexOf(stageOf(file)),
    );
    expect(backward).toEqual([]);
  });

  it('has no circle of modules', () => {
    const next = new Map(sources.map((file) => [file, imports.filter((row) => row.file === file).map(({ to }) => to)]));
    const finished = new Set<string>();
    const circleFrom = (file: string, path: readonly string[]): readonly string[] | undefined => {
      if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
      if (finished.has(file)) return undefined;
      for (const to of next.get(file) ?? []) {
        const circle = circleFrom(to, [...path, file]);
        if (circle !== undefined) return circle;
      }
      finished.add(file);
      return undefined;
    };
    expect(sources.map((file) => circleFrom(file, [])).filter((circle) => circle !== undefined)).toEqual([]);
  });
});

describe('who may touch what', () => {
  it('has the addon imported by src/native.ts, src/device-errors.ts, src/transfer.ts and src/hash/ alone', () => {
    const importers = imports.filter(({ to }) => to === '#native' || to === 'src/native.ts').map(({ file }) => file);
    expect(importers.filter((file) => !/^src\/(native|device-errors|transfer)\.ts$|^src\/hash\//.test(file))).toEqual(
      [],
    );
  });

  it('has process.env read by config and the command line alone', () => {
    const readers = sources.filter((file) =>
      /\bprocess\.env\b|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/.test(codeOf(file)),
    );
    expect(readers.filter((file) => !/^src\/(config|cli)\//.test(file))).toEqual([]);
  });

  it('has napi.h included by native/binding alone', () => {
    const includers = filesBelow('native', /\.(cc|h)$/).filter((file) =>
      /#include\s*[<"]\s*(napi|node_api|js_native_api)/.test(codeOf(file)),
    );
    expect(includers).not.toEqual([]);
    expect(includers.filter((file) => !file.startsWith('native/binding/'))).toEqual([]);
  });

  it('has the examples use the public API alone', () => {
    const strangers = filesBelow('examples', /\.mjs$/).flatMap((file) =>
      importsOf(file)
        .filter((to) => !/^(node:|kv-offload$)/.test(to))
        .filter((to) => !(to.startsWith('.') && posix.join(posix.dirname(file), to).startsWith('examples/')))
        .map((to) => ({ file, to })),
    );
    expect(strangers).toEqual([]);
  });
});
