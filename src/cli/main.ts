#!/usr/bin/env node
/** The command `kv-offload`. */

void exitCodeOf(process.argv).then((exitCode) => {
  // Not process.exit(), which would cut off what is still being written.
  process.exitCode = exitCode;
});

async function exitCodeOf(argv: readonly string[]): Promise<number> {
  if (argv[2] === 'probe') {
    const { quickProbe } = await import('./quick-probe.js');
    const exitCode = await quickProbe(argv.slice(3));
    if (exitCode !== undefined) return exitCode;
  }
  const { run } = await import('./program.js');
  return run(argv);
}
