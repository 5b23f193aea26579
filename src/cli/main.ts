#!/usr/bin/env node
/** The command `kv-offload`. */
import { run } from './program.js';

void run(process.argv).then((exitCode) => {
  // Not process.exit(), which would cut off what is still being written.
  process.exitCode = exitCode;
});
