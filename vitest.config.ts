import { defineConfig } from 'vitest/config';

// What a user's shell sets must not change what the tests see; they inherit this process's environment.
for (const name of Object.keys(process.env)) {
  if (/^(LMCACHE_|PYTHONHASHSEED$|KV_OFFLOAD_(?!ADDON$|INTEROP_))/.test(name))
    Reflect.deleteProperty(process.env, name);
}

/** A folder of tests. Groups run one after the other, so that the heavy ones do not disturb the others. */
const folder = (name: string, group: number, seconds: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
    sequence: { groupOrder: group },
  },
});

/**
 * The integration suite once more, with the fake GPU's memory in place of the host's (test/support/device-memory.ts).
 * Left out, by name and for a reason:
 */
const ON_HOST_ONLY = [
  // The command-line program, in processes of its own: it keeps chunks in host memory.
  'test/integration/cli*.test.ts',
  'test/integration/bench*.test.ts',
  // Chunks by key or path, which come and go in host memory.
  'test/integration/bulk.test.ts',
  // Its codes of a GPU come from the fakes as it is; the rest is the same code.
  'test/integration/error-codes.test.ts',
  // What is about a GPU anyway.
  'test/integration/gpu-*.test.ts',
];

/** @param transport - of kv_offload.transport */
const onGpu = (transport: 'staged' | 'gds', group: number) => {
  const base = folder('integration', group, 60);
  return {
    ...base,
    test: {
      ...base.test,
      name: `integration-${transport}`,
      exclude: ON_HOST_ONLY,
      env: { KVO_TEST_TRANSPORT: transport },
    },
  };
};

export default defineConfig({
  test: {
    pool: 'forks',
    watch: false,
    projects: [
      folder('unit', 0, 30),
      folder('integration', 1, 60),
      onGpu('staged', 1),
      onGpu('gds', 1),
      folder('process', 2, 120),
      folder('stress', 3, 300),
      folder('interop', 4, 120),
      folder('gpu', 5, 120),
    ],
    coverage: { provider: 'v8', include: ['src/**'], reportsDirectory: 'coverage' },
  },
});
