/** What reports say, and what is made of them: comparison, model of the time to first token, page with plots. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareReports } from '../../src/cli/bench/compare.js';
import { reportHtml } from '../../src/cli/bench/html.js';
import { PRESET_NAMES, presetOf } from '../../src/cli/bench/presets.js';
import { type Report, type Row, reportJsonSchema, reportSchema } from '../../src/cli/bench/schema.js';
import { showReport } from '../../src/cli/bench/show.js';
import { inAnyOrder, ratioOf, spreadOf } from '../../src/cli/bench/statistics.js';
import { modelTtft } from '../../src/cli/bench/ttft.js';
import { sampleReport, sampleRow } from '../support/bench-report.js';
import { messageOf } from './expect-code.js';

const MIB = 2 ** 20;

describe('chunks of known models', () => {
  it('have the bytes that their shapes and dtypes make', () => {
    expect(PRESET_NAMES.map((name) => [name, presetOf(name).chunkBytes])).toEqual([
      ['llama-3.1-8b', 32 * MIB],
      ['llama-3.3-70b-fp8-tp4', 10 * MIB],
      ['deepseek-v3', 61 * 256 * 576 * 2],
    ]);
  });

  it.each([
    ['1MiB', MIB],
    ['64KiB', 65_536],
    ['100', 100],
    ['7', 7],
  ])('or of bytes, %s', (text, bytes) => {
    const { chunkBytes, model, chunkTokens } = presetOf(text);
    expect(chunkBytes).toBe(bytes);
    expect(model.kvShape.reduce((product, dimension) => product * dimension, 1)).toBe(bytes);
    expect(model.kvShape[2]).toBe(chunkTokens);
  });

  it.each(['', 'llama-9', '0', '2GiB', '1025MiB', '-1MiB', '1.5MiB'])('refuse %s', (text) => {
    expect(messageOf('KVO_ARGUMENT_INVALID', () => presetOf(text))).toContain('llama-3.1-8b');
  });
});

describe('repeats', () => {
  it('are summed up by median, least and greatest', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, greatest: 3 });
    expect(spreadOf([4, 1, 3, 2]).median).toBe(2.5);
  });

  it('of two make ratios pair by pair, so that a machine that drifts slows both', () => {
    expect(ratioOf([10, 5, 1], [20, 10, 2])).toEqual({ median: 0.5, least: 0.5, greatest: 0.5 });
    expect(ratioOf([10, 5], [20]).greatest).toBe(0.5);
  });
});

describe('the order of a round', () => {
  it('has everyone once, and nobody twice in a row', () => {
    let order = ['a', 'b', 'c'];
    const firsts = new Set<string | undefined>();
    for (let round = 0; round < 200; round++) {
      const next = inAnyOrder(order);
      expect([...next].sort()).toEqual(['a', 'b', 'c']);
      expect(next[0]).not.toBe(order.at(-1));
      firsts.add(next[0]);
      order = next;
    }
    expect(firsts.size).toBe(3);
    expect(inAnyOrder(['alone'])).toEqual(['alone']);
  });
});

describe('the schema', () => {
  it('is the one that docs/bench-report.schema.json has', () => {
    const documented = JSON.parse(
      readFileSync(new URL('../../docs/bench-report.schema.json', import.meta.url), 'utf8'),
    ) as unknown;
    expect(JSON.parse(JSON.stringify(reportJsonSchema()))).toEqual(documented);
  });

  it('takes a report, and refuses one of another version', () => {
    expect(reportSchema.parse(sampleReport())).toEqual(sampleReport());
    expect(reportSchema.safeParse({ ...sampleReport(), version: 2 }).success).toBe(false);
  });
});

describe('a comparison', () => {
  const verdictOf = (row: Partial<Row>, other: Partial<Row>) =>
    compareReports(sampleReport([sampleRow(row)]), sampleReport([sampleRow(other)])).changes[0]?.verdict;
  const values = (...all: number[]): Partial<Row> => ({ values: all, ...spreadOf(all) });

  it('tells a change from noise', () => {
    expect(verdictOf(values(10, 11, 12), values(10.2, 11.2, 12.1))).toBe('same');
    expect(verdictOf(values(10, 11, 12), values(13, 14, 15))).toBe('better');
    expect(verdictOf(values(10, 11, 12), values(7, 8, 9))).toBe('worse');
    expect(verdictOf(values(10, 11, 12), values(9, 14, 15))).toBe('unclear');
    expect(verdictOf(values(10, 10.01), values(10.2, 10.21))).toBe('same');
  });

  it('knows that less time is better', () => {
    expect(verdictOf({ unit: 'ms', ...values(10, 11) }, { unit: 'ms', ...values(1, 2) })).toBe('better');
  });

  it('says what else differs, and what only one has', () => {
    const second = sampleReport([sampleRow({ id: 'other' })]);
    second.versions['node'] = 'v26.0.0';
    const { conditions, onlyFirst, onlySecond, changes } = compareReports(sampleReport([sampleRow()]), second);
    expect(conditions).toEqual(['node: v20.20.2 → v26.0.0']);
    expect([onlyFirst, onlySecond, changes]).toEqual([[sampleRow().id], ['other'], []]);
  });
});

describe('the time to first token', () => {
  const lookup = sampleRow({
    id: 'lookup',
    operation: 'lookup',
    unit: 'ms',
    chunks: 512,
    cache: 'warm',
    ...spreadOf([5.12]),
  });
  const load = sampleRow({ id: 'load', ...spreadOf([10]) });
  const options = { preset: presetOf('llama-3.1-8b'), promptTokens: 25_700, hitRatio: 0.5, prefillRate: 10_000 };

  it('adds up lookup, load and prefill', () => {
    const { milliseconds, cachedTokens, computedTokens, loadedBytes, from, speedup } = modelTtft(
      sampleReport([lookup, load]),
      options,
    );
    expect(cachedTokens).toBe(50 * 256);
    expect(computedTokens).toBe(25_700 - 50 * 256);
    expect(loadedBytes).toBe(50 * 32 * MIB);
    expect(milliseconds.lookup).toBeCloseTo(1.01, 5);
    expect(milliseconds.load).toBeCloseTo((50 * 32 * MIB) / 1e7, 5);
    expect(milliseconds.prefill).toBeCloseTo(1290, 5);
    expect(milliseconds.withoutCache).toBe(2570);
    expect(speedup).toBeCloseTo(2570 / milliseconds.withCache, 10);
    expect(from).toEqual(['lookup', 'load']);
  });

  it('prefers cold loads of the nearest size, and says what it assumes', () => {
    const cold = sampleRow({ id: 'cold', cache: 'cold', ...spreadOf([1]) });
    const far = sampleRow({ id: 'far', cache: 'cold', chunkBytes: 1024, ...spreadOf([99]) });
    const { from, assumptions } = modelTtft(sampleReport([lookup, far, load, cold]), options);
    expect(from).toEqual(['lookup', 'cold']);
    expect(assumptions.join('\n')).toMatch(
      /10000 tokens\/s, as you stated[^]*1\.00 GB\/s[^]*the copy to the GPU is not in it/,
    );
  });

  it('wants rows to go by', () => {
    expect(messageOf('KVO_ARGUMENT_INVALID', () => modelTtft(sampleReport([load]), options))).toContain('lookup');
  });
});

describe('a report', () => {
  const peers = { 'plain-cpp': { median: 0.97, least: 0.9, greatest: 1.02 } };
  const report: Report = sampleReport([
    sampleRow({ ratios: peers }),
    sampleRow({ id: 'p', by: 'plain-cpp', ...spreadOf([11]) }),
  ]);

  it('reads as a table', () => {
    const text = showReport(report);
    expect(text).toMatch(/÷ plain-cpp/);
    expect(text).toMatch(
      /^retrieve +kv-offload +llama-3\.1-8b × 8, t4 d8 +buffered warm sums +10\.0 \[9\.00, 11\.0\] +0\.97$/m,
    );
    expect(text).toContain('- fio is not installed');
  });

  it('is one page that fetches nothing and escapes what it quotes', () => {
    const html = reportHtml({ ...report, notes: ['<script>alert(1)</script> & "x"'], command: ['</script>'] });
    expect(html).not.toMatch(/<script>alert|https?:|<link|src=/);
    expect(html).toContain('&#60;script&#62;alert(1)&#60;/script&#62; &#38; &#34;x&#34;');
    expect(html.match(/<svg viewBox/g)?.length).toBe(1);
    const [, json = ''] = /id="report">([^]*?)<\/script>/.exec(html) ?? [];
    expect(reportSchema.parse(JSON.parse(json)).command).toEqual(['</script>']);
  });

  it('without rows is a page all the same', () => {
    expect(reportHtml(sampleReport([]))).toContain('No rows that are plotted');
  });
});
