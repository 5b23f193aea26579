/**
 * The report of `kv-offload bench --json`, version 1: the one place that says what is in it. `kv-offload bench schema`
 * prints it as JSON Schema. Fields may be added within a version; a change of meaning makes a new one.
 */
import * as z from 'zod';

export const REPORT_SCHEMA = 'kv-offload-bench';
export const REPORT_VERSION = 1;

const text = z.string();
const number = z.number();
const count = z.int().nonnegative();

const percentiles = z
  .object({ count, p50: number, p99: number, p999: number, max: number })
  .describe(
    'microseconds a chunk, from asking until it is there, of single-chunk calls: as many at a time as threads, at most `depth`; of the mix `depth`',
  );

const row = z.object({
  id: text.describe('what is compared between reports: the same id means the same conditions within a report'),
  operation: z.enum(['store', 'retrieve', 'mix', 'lookup', 'memcpy', 'open']),
  by: z
    .enum([
      'kv-offload',
      'plain-cpp',
      'fio',
      'fio-new',
      'fs-promises',
      'file-handle',
      'memcpy',
      'pinned-copy',
      'cufile',
      'lmcache',
      'kvikio',
      'nixl',
    ])
    .describe(
      'what was measured: this library, a ceiling (memcpy, plain-cpp; with a GPU pinned-copy, plain-cpp) or a peer',
    ),
  chunk: text.describe('preset or size'),
  chunkBytes: count,
  chunks: count.describe('chunks a run'),
  threads: count,
  depth: count.describe('chunks a call; of peers, files at a time'),
  io: z.enum(['buffered', 'direct', 'none']).describe('none: no files, or a peer’s own choice'),
  sums: z.boolean().describe('whether payload sums are computed (store) or compared (retrieve)'),
  transport: text.describe(
    'gds, staged, host, or none where no chunk moves; gds+staged: reads and writes differ; of peers as they were asked: cufile, posix',
  ),
  cache: z
    .enum(['warm', 'cold', 'bypassed', 'none'])
    .describe('page cache of what is read: warm, cold (see coldBy), bypassed by O_DIRECT, or none for writes'),
  coldBy: text.optional().describe('how it was made cold, and how that was checked'),
  unit: z.enum(['GB/s', 'us/chunk', 'ms']).describe('GB/s are 10^9 payload bytes a second'),
  values: z.array(number).describe('one a repeat, in the order of the runs, warm-up left out'),
  median: number,
  least: number,
  greatest: number,
  ratios: z
    .record(text, z.object({ median: number, least: number, greatest: number }))
    .optional()
    .describe(
      'this row over another, pair by pair of runs taken in turn; by the other one’s `by`. Over pinned-copy: over its median, since it ran before',
    ),
  latency: percentiles.optional(),
  cpuSecondsPerGiB: number.optional().describe('user and system time of the whole process'),
  bytesInFlight: count.optional().describe('payload bytes of one call: what the library was given at a time'),
  eventLoopDelayMs: z
    .object({ p50: number, p99: number, idleP99: number })
    .optional()
    .describe(
      'monitorEventLoopDelay at 1 ms: the median run’s p50, the worst run’s p99; idleP99 is the same timer without any work',
    ),
  verified: z.boolean().optional().describe('every byte that came back was compared with what was stored'),
  path: z
    .object({
      directBytes: count,
      bufferedBytes: count,
      deviceBytes: count.describe('from or to a GPU, by either transport'),
      stagedBytes: count.optional().describe('with a GPU: through pinned host memory'),
      gdsBytes: count.optional().describe('with a GPU: given to cuFile'),
      via: z.record(text, count).optional().describe('with a GPU: chunks by the way that each was said to take'),
      cufile: z
        .record(text, count)
        .optional()
        .describe(
          'cuFile’s own counts of its bytes and calls meanwhile: readsPosix and writesPosix went through host memory',
        ),
    })
    .optional()
    .describe('proof of the path taken: payload bytes by how the engine’s own counters say that they moved'),
  details: z.record(text, z.union([number, text])).optional(),
});

const replay = z
  .object({
    workload: z.record(text, number).describe('what the requests were made from; the seed gives the same ones again'),
    requests: count,
    seconds: number,
    hitRate: number.describe('cached prompt tokens over all prompt tokens'),
    bytesSaved: number.describe('KV cache that was loaded and not computed'),
    verifiedChunks: count.describe('chunks whose sums were compared'),
    timeline: z.array(
      z.object({
        second: number,
        requests: count,
        hitRate: number,
        bytesSaved: number,
        lookupMs: number,
        retrieveMs: number,
      }),
    ),
  })
  .describe('a replayed workload of conversations; latencies are means of whole requests');

export const reportSchema = z
  .object({
    schema: z.literal(REPORT_SCHEMA),
    version: z.literal(REPORT_VERSION),
    command: z.array(text),
    startedAt: text,
    seconds: number,
    complete: z.boolean().describe('false where time ran out: `notes` says what was left out'),
    machine: z.object({
      cpu: text,
      cores: count,
      memoryBytes: count,
      kernel: text,
      system: text,
      architecture: text,
      loadAverage: number.describe('of the last minute, when the run began: above 0.5 a core, others were at work'),
    }),
    versions: z.record(text, text),
    filesystem: z.object({ path: text, mount: text, type: text, source: text, options: z.array(text) }),
    transport: z.object({ kind: text, reason: text, io: text, ioReason: text }),
    asked: z
      .object({
        diskBytes: count,
        memoryBytes: count,
        deviceBytes: count.optional().describe('of a GPU’s memory'),
        files: count,
        seconds: number,
      })
      .describe('the bounds that were announced: at most so much at a time, and no new repeat after so long'),
    settings: z.record(text, z.union([text, number, z.boolean()])),
    device: z
      .object({ kind: text, name: text, memoryBytes: count, driver: text, details: z.record(text, text) })
      .nullable()
      .describe('the GPU that chunks moved to and from; null without'),
    rows: z.array(row),
    replay: replay.optional(),
    notes: z.array(text).describe('what was skipped and why, and what a row does not mean'),
  })
  .describe('kv-offload bench, version 1');

export type Row = z.infer<typeof row>;
export type Report = z.infer<typeof reportSchema>;

/** As JSON Schema, draft 2020-12. */
export function reportJsonSchema(): unknown {
  return z.toJSONSchema(reportSchema);
}
