/** What this library keeps in a header beside LMCache's own fields: flat strings of a JSON object. */
import { type ChunkExtras, invalid } from './chunk-header.js';
import { type Fail, type Fields, show } from './header-fields.js';
import { SUM_DIGITS, isSumBlock, readSums, spellSums, sumCount } from './sums.js';

const PREFIX_DIGEST = /^[0-9a-f]{64}$/;
const COUNT = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * Members of a JSON object, all ASCII, without its braces.
 *
 * @returns `sumsIndex`, where in the text the sums' place begins: 16 zeros a block where `extras` has no sums yet; 0
 *   without sums
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` for extras that no file can have
 */
export function spellExtras(extras: ChunkExtras, payload: number): { text: string; sumsIndex: number } {
  const { key, chunkIndex, prefix } = extras;
  if (chunkIndex !== undefined && (!Number.isSafeInteger(chunkIndex) || chunkIndex < 0)) {
    throw invalid(`its index ${chunkIndex} is no count`);
  }
  if (prefix !== undefined && !PREFIX_DIGEST.test(prefix)) {
    throw invalid('its prefix digest is not 64 lowercase hex digits');
  }
  const text = spellIdentity(key === undefined ? undefined : jsonText(key), chunkIndex, prefix);
  const { sums, digits } = spellSumsOf(extras, payload);
  return { text: text + sums, sumsIndex: digits === 0 ? 0 : text.length + digits };
}

/** The members before the sums: which chunk of which prompt it is. Nothing is checked. */
export function spellIdentity(
  jsonKey: string | undefined,
  chunkIndex: number | undefined,
  prefix: string | undefined,
): string {
  let text = '"kv_offload_version": "1"';
  if (jsonKey !== undefined) text += `, "kv_offload_key": ${jsonKey}`;
  if (chunkIndex !== undefined) text += `, "kv_offload_chunk": "${chunkIndex}"`;
  if (prefix !== undefined) text += `, "kv_offload_prefix": "${prefix}"`;
  return text;
}

/**
 * The members of the sums, with what separates them from those before; an empty text without sums.
 *
 * @returns `digits`, where in the text the sums' place begins
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID`
 */
export function spellSumsOf(
  extras: Pick<ChunkExtras, 'sumBlock' | 'sums'>,
  payload: number,
): { sums: string; digits: number } {
  if (extras.sumBlock === undefined) {
    if (extras.sums) throw invalid('it has sums without the size of their blocks');
    return { sums: '', digits: 0 };
  }
  if (!isSumBlock(extras.sumBlock, payload)) {
    throw invalid(`its sum block of ${extras.sumBlock} bytes does not suit a payload of ${payload}`);
  }
  const count = sumCount(payload, extras.sumBlock);
  if (extras.sums && extras.sums.length !== count)
    throw invalid(`it has ${extras.sums.length} sums for ${count} blocks`);
  const before = `, "kv_offload_sum_block": "${extras.sumBlock}", "kv_offload_sums": "`;
  const sums = extras.sums ? spellSums(extras.sums) : '0'.repeat(count * SUM_DIGITS);
  return { sums: `${before}${sums}"`, digits: before.length };
}

/**
 * The extras among the members of a JSON object. Those of another version are another writer's: the chunk counts as one
 * without.
 */
export function readExtras(metadata: Fields, payload: number, fail: Fail): ChunkExtras | undefined {
  if (metadata['kv_offload_version'] !== '1') return undefined;
  const field = (name: string, rule: RegExp, expected: string): string | undefined => {
    const value = metadata[name];
    if (value === undefined) return undefined;
    return typeof value === 'string' && rule.test(value) ? value : fail(`${name} is ${show(value)}, not ${expected}`);
  };
  const key = field('kv_offload_key', /^[^]+$/, 'a text');
  const chunk = field('kv_offload_chunk', COUNT, 'a decimal count');
  const prefix = field('kv_offload_prefix', PREFIX_DIGEST, '64 lowercase hex digits');
  const block = field('kv_offload_sum_block', COUNT, 'a decimal count');
  const sums = field('kv_offload_sums', /^[0-9a-f]+$/, 'lowercase hex digits');
  if (chunk !== undefined && !Number.isSafeInteger(Number(chunk)))
    fail(`kv_offload_chunk is ${chunk}, beyond 2^53 - 1`);
  if ((block === undefined) !== (sums === undefined))
    fail('kv_offload_sum_block and kv_offload_sums do not stand together');
  const extras: { -readonly [Name in keyof ChunkExtras]: ChunkExtras[Name] } = {};
  if (key !== undefined) extras.key = key;
  if (chunk !== undefined) extras.chunkIndex = Number(chunk);
  if (prefix !== undefined) extras.prefix = prefix;
  if (block !== undefined && sums !== undefined) {
    extras.sumBlock = Number(block);
    extras.sums = checkedSums(extras.sumBlock, sums, payload, fail);
  }
  return extras;
}

function checkedSums(sumBlock: number, digits: string, payload: number, fail: Fail): BigUint64Array {
  if (!isSumBlock(sumBlock, payload)) {
    return fail(`kv_offload_sum_block is ${sumBlock}, which does not suit ${payload} bytes`);
  }
  const count = sumCount(payload, sumBlock);
  return (
    readSums(digits, count) ?? fail(`kv_offload_sums has ${digits.length} digits, not 16 for each of ${count} blocks`)
  );
}

/** A text in quotes, as json.dumps with its default ensure_ascii: what JSON.stringify leaves as it is beyond `~` is escaped too. */
export function jsonText(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
