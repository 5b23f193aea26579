/**
 * NVIDIA's own libcufile on a machine without a GPU: what it says is told, and bytes go staged. The GPU is the fake of
 * test/fakes. The library is the one that PyTorch brings along, or that KV_OFFLOAD_REAL_CUFILE names.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CHUNK, CHUNK_BYTES, openEngine } from '../support/engine.js';
import { temporaryDirectory } from '../support/directories.js';
import { gpuSetup } from '../support/gpu.js';
import { outcomesOf, rejection } from '../support/outcomes.js';
import { payload, sameBytes, tokens } from '../support/payload.js';
import { PYTHON } from './peer.js';

const LIBRARY = process.env['KV_OFFLOAD_REAL_CUFILE'] ?? besidePython(PYTHON);

/** In an environment of Python's: lib/python3.N/site-packages/nvidia/NAME/lib/libcufile.so.0 */
function besidePython(python: string | undefined): string | undefined {
  if (python === undefined) return undefined;
  const lib = join(dirname(python), '..', 'lib');
  const below = (folder: string) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);
  const packages = below(lib).map((folder) => join(folder, 'site-packages', 'nvidia'));
  const candidates = packages.flatMap(below).map((folder) => join(folder, 'lib', 'libcufile.so.0'));
  return candidates.find((path) => existsSync(path));
}

/** For the whole file: cuFile's environment is the process's. */
const folder = mkdtempSync(join(tmpdir(), 'kvo-real-cufile-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/**
 * cuFile 1.15 looks through /proc/modules before it falls back to compat mode, and where a sandbox has no such file it
 * never comes back. With compat mode forbidden it does not look.
 */
function strictWhereItSpins(): { readonly cufile_config?: string } {
  if (existsSync('/proc/modules')) return {};
  const file = join(folder, 'cufile.json');
  writeFileSync(file, JSON.stringify({ properties: { allow_compat_mode: false } }));
  return { cufile_config: file };
}

if (LIBRARY === undefined) {
  process.stderr.write(
    'NOT TESTED with the real libcufile: there is none; run npm run test:interop, or set KV_OFFLOAD_REAL_CUFILE\n',
  );
}

describe.skipIf(LIBRARY === undefined)('the real libcufile without a GPU', () => {
  const own = () => ({ libcufile_path: LIBRARY ?? '', ...strictWhereItSpins() });

  it('is said to be of no use, with its own reason, and bytes go staged', async () => {
    const engine = await openEngine(gpuSetup(temporaryDirectory(), own()));
    expect(engine.transport.kind).toBe('staged');
    expect(engine.transport.reason).toMatch(/^cuFile cannot be used: cuFileDriverOpen failed: .+ \(50\d\d\)$/);
    process.stdout.write(`the real libcufile: ${engine.transport.reason}\n`);
    const [from, into] = await engine.lease(2);
    if (!from || !into) return expect.fail('two slots');
    from.copyFrom(payload(1, CHUNK_BYTES));
    expect(outcomesOf(await engine.store(tokens(CHUNK), [from]))).toEqual(['stored']);
    expect(outcomesOf(await engine.retrieve(tokens(CHUNK), [into]))).toEqual(['hit']);
    const bytes = new Uint8Array(CHUNK_BYTES);
    into.copyTo(bytes);
    expect(sameBytes(bytes, payload(1, CHUNK_BYTES))).toBe(true);
  });

  it('is refused with require_gds', async () => {
    const error = await rejection(openEngine(gpuSetup(temporaryDirectory(), { ...own(), require_gds: true })));
    expect(error).toMatchObject({ code: 'KVO_TRANSPORT_UNAVAILABLE' });
    expect(error.message).toContain('cuFileDriverOpen');
  });
});
