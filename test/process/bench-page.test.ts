/** The page of `kv-offload bench --html` in a real browser, without a network. */
import { execFile } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { reportHtml } from '../../src/cli/bench/html.js';
import { spreadOf } from '../../src/cli/bench/statistics.js';
import { sampleReport, sampleRow } from '../support/bench-report.js';
import { temporaryDirectory } from '../support/directories.js';

const run = promisify(execFile);

const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
if (BROWSER === undefined) console.warn('SKIPPED: no chromium here, so that no page is opened in a browser');

/** Resolves every name to nowhere: whatever the page fetched would fail. */
const OFFLINE = '--host-resolver-rules=MAP * ~NOTFOUND';

describe.skipIf(BROWSER === undefined)('the page of a report', () => {
  const latency = { count: 80, p50: 900, p99: 1500, p999: 4000, max: 4100 };
  const rows = [1, 32].flatMap((mib) =>
    (['kv-offload', 'plain-cpp'] as const).map((by) =>
      sampleRow({
        id: `${by}${mib}`,
        by,
        chunk: `${mib}MiB`,
        chunkBytes: mib * 2 ** 20,
        ...spreadOf([5, 6, 7]),
        ...(by === 'kv-offload' && { latency }),
      }),
    ),
  );
  const timeline = [1, 2, 3].map((second) => ({
    second,
    requests: 2,
    hitRate: 0.5,
    bytesSaved: 1,
    lookupMs: 1,
    retrieveMs: 2,
  }));
  const replay = {
    workload: { seed: 1 },
    requests: 6,
    seconds: 3,
    hitRate: 0.5,
    bytesSaved: 3,
    verifiedChunks: 1,
    timeline,
  };

  it('shows its plots and tables, and nothing fails to load', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'report.html');
    writeFileSync(file, reportHtml({ ...sampleReport(rows), replay }));
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--user-data-dir=${directory}/profile`,
    ];
    const url = pathToFileURL(file).href;
    const quiet = [...flags, OFFLINE, '--enable-logging=stderr', '--v=0'];
    const { stdout: dom, stderr } = await run(BROWSER ?? '', [...quiet, '--dump-dom', url]);
    // As the browser understood it, written down again.
    expect(dom.match(/<figure>/g)?.length).toBe(4);
    expect(dom.match(/<circle /g)?.length).toBe(4 + 2 * 3 + 3 + 2 * 3);
    expect(dom).toMatch(/<td>kv-offload<\/td><td>32MiB × 8<\/td>/);
    expect(dom).not.toMatch(/NaN|undefined/);
    expect(stderr).not.toMatch(/CONSOLE|ERR_|Uncaught/);
    const picture = join(directory, 'page.png');
    await run(BROWSER ?? '', [...flags, OFFLINE, `--screenshot=${picture}`, '--window-size=1000,2400', url]);
    expect(statSync(picture).size).toBeGreaterThan(20_000);
  });
});
