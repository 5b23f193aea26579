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
  let text = '"kv_offload_version": "1"';
  if (extras.key !== undefined) text += `, "kv_offload_key": ${pythonString(extras.key)}`;
  if (extras.chunkIndex !== undefined) {
    if (!Number.isSafeInteger(extras.chunkIndex) || extras.chunkIndex < 0)
      throw invalid(`its index ${extras.chunkIndex} is no count`);
    text += `, "kv_offload_chunk": "${extras.chunkIndex}"`;
  }
  if (extras.prefix !== undefined) {
    if (!PREFIX_DIGEST.test(extras.prefix)) throw invalid('its prefix digest is not 64 lowercase hex digits');
    text += `, "kv_offload_prefix": "${extras.prefix}"`;
  }
  if (extras.sumBlock === undefined) {
    if (extras.sums) throw invalid('it has sums without the size of their blocks');
    return { text, sumsIndex: 0 };
  }
  if (!isSumBlock(extras.sumBlock, payload)) {
    throw invalid(`its sum block of ${extras.sumBlock} bytes does not suit a payload of ${payload}`);
  }
  const count = sumCount(payload, extras.sumBlock);
  if (extras.sums && extras.sums.length !== count)
    throw invalid(`it has ${extras.sums.length} sums for ${count} blocks`);
  text += `, "kv_offload_sum_block": "${extras.sumBlock}", "kv_offload_sums": "`;
  const sums = extras.sums ? spellSums(extras.sums) : '0'.repeat(count * SUM_DIGITS);
  return { text: `${text}${sums}"`, sumsIndex: text.length };
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

/** As json.dumps with its default ensure_ascii: what JSON.stringify leaves as it is beyond `~` is escaped too. */
function pythonString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
