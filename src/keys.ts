/**
 * A chunk's key and its text, `model@world_size@worker_id@hash@dtype`, then `@layer_id`, then `@tag%value` for each tag.
 * That is LMCache's spelling since 0.3.13; before, keys began with `vllm@`, and until 0.3.9 had no dtype.
 */
import { type KeyDtype, isKeyDtype } from './dtypes.js';
import { KVOffloadError } from './errors.js';
import { type ChunkHash, isDigest } from './hash/index.js';

/** Which fields a key has beside those that all have. */
export interface KeyFields {
  /** What stands before the model name, or nothing. */
  readonly lead?: 'vllm';
  /** Whether the dtype is part of it. */
  readonly dtype: boolean;
}

/** Those of LMCache since 0.3.13. */
export const CURRENT_KEY_FIELDS: KeyFields = { dtype: true };

/** A tag's name, without `lmcache.tag.`, and its value. */
export type Tag = readonly [name: string, value: string];

/** All of a key but the chunk: what the chunks of one prompt share. */
export interface KeyIdentity {
  /** As vLLM is given it. Not empty, without `@`. */
  readonly modelName: string;
  /** Tensor-parallel ranks; 1 for an MLA model, whatever it runs on. */
  readonly worldSize: number;
  readonly workerId: number;
  /** The KV cache's dtype by its name in keys. Absent where a key was read that has no dtype. */
  readonly dtype?: KeyDtype;
  /** Layer of a layerwise chunk; absent where a chunk holds all layers. */
  readonly layerId?: number;
  /** In order. Names without `@` and `%`, values without `@`. Absent where there are none. */
  readonly tags?: readonly Tag[];
}

/** What names one chunk. */
export interface ChunkKey extends KeyIdentity {
  /** Of the chunk and all before it. builtin's may be negative. */
  readonly chunkHash: ChunkHash;
}

/** A SHA-256 has as many hex digits, and nothing that LMCache takes for a hash has more. */
const LONGEST_HASH = 64;
/** Fields that every key has: model name, world size, worker id, hash. */
const ALWAYS = 4;

/**
 * A key's text.
 *
 * LMCache would also write a model name or tag that holds a separator, but no reader can take such a key apart again,
 * LMCache's own included: it is refused here.
 *
 * @throws KVOffloadError `KVO_KEY_INVALID` naming the field
 */
export function formatKey(key: ChunkKey, fields: KeyFields = CURRENT_KEY_FIELDS): string {
  const { before, after } = keyParts(key, fields);
  return before + formatHash(key.chunkHash) + after;
}

/** A key's text before and after its hash: keys of one prompt differ in the hash alone. @throws as {@link formatKey} */
export function keyParts(key: KeyIdentity, fields: KeyFields = CURRENT_KEY_FIELDS): { before: string; after: string } {
  checkText('model name', key.modelName, '@');
  if (key.modelName === '') throw invalid('the model name is empty', key.modelName);
  checkCount('world size', key.worldSize);
  checkCount('worker id', key.workerId);
  let after = '';
  if (fields.dtype) {
    if (key.dtype === undefined || !isKeyDtype(key.dtype))
      throw invalid('the dtype is none that keys can name', String(key.dtype));
    after = `@${key.dtype}`;
  }
  if (key.layerId !== undefined) {
    checkCount('layer id', key.layerId);
    after += `@${key.layerId}`;
  }
  for (const [name, value] of key.tags ?? []) {
    checkText('tag name', name, '@%');
    checkText(`value of tag ${name}`, value, '@');
    after += `@${name}%${value}`;
  }
  const lead = fields.lead === undefined ? '' : `${fields.lead}@`;
  return { before: `${lead}${key.modelName}@${key.worldSize}@${key.workerId}@`, after };
}

/**
 * A chunk's hash as keys spell it: an integer in lowercase hex, unpadded, a negative one with its sign; bytes in plain
 * hex. An integer of 32 or 64 digits would be read back as bytes: it is refused, as LMCache has none.
 *
 * @throws as {@link formatKey}
 */
export function formatHash(chunkHash: ChunkHash): string {
  if (typeof chunkHash === 'string') {
    if (isDigest(chunkHash)) return chunkHash;
    throw invalid('the hash is not the 32 or 64 lowercase hex digits of a digest', chunkHash);
  }
  const hex = typeof chunkHash === 'bigint' ? chunkHash.toString(16) : '';
  const digits = hex.startsWith('-') ? hex.length - 1 : hex.length;
  if (digits < 1 || digits > LONGEST_HASH || isDigest(hex))
    throw invalid(`the hash is no bigint of up to ${LONGEST_HASH} hex digits`, String(chunkHash));
  return hex;
}

/**
 * Takes a key's text apart, as LMCache does: the hash may be in capitals and begin with `0x`, numbers may have leading
 * zeros. A hash of exactly 32 or 64 digits is a digest's bytes.
 *
 * @throws KVOffloadError `KVO_KEY_INVALID` naming the field
 */
export function parseKey(text: string, fields: KeyFields = CURRENT_KEY_FIELDS): ChunkKey {
  const split = text.split('@');
  const led = fields.lead === undefined ? split : split.slice(1);
  if (fields.lead !== undefined && split[0] !== fields.lead)
    throw invalid(`it does not begin with ${fields.lead}@; a key of that LMCache is ${shapeOf(fields)}`, text);
  if (fields.lead === undefined && split[0] === 'vllm' && !isCount(split[1] ?? '0'))
    throw invalid('it begins with vllm@, as keys of LMCache before 0.3.13 do; set lmcache_version to read it', text);
  const [modelName = '', worldSize, workerId, hash, ...others] = led;
  const dtype = fields.dtype ? others[0] : undefined;
  if (worldSize === undefined || workerId === undefined || hash === undefined || (fields.dtype && dtype === undefined))
    throw invalid(`it has fewer than ${fieldCount(fields)} fields; a key is ${shapeOf(fields)}`, text);
  if (modelName === '') throw invalid('its model name is empty', text);
  checkWellFormed('key', text);
  if (dtype !== undefined && !isKeyDtype(dtype))
    throw invalid(`its dtype ${quoted(dtype)} is none that keys can name`, text);
  const rest = fields.dtype ? others.slice(1) : others;
  const key: ChunkKey = {
    modelName,
    worldSize: parseCount('world size', worldSize, text),
    workerId: parseCount('worker id', workerId, text),
    chunkHash: parseHash(hash, text),
    ...(dtype === undefined ? {} : { dtype }),
  };
  const layer = rest[0] !== undefined && isCount(rest[0]) ? rest.shift() : undefined;
  const tags = rest.map((tag) => parseTag(tag, text));
  return {
    ...key,
    ...(layer === undefined ? {} : { layerId: parseCount('layer id', layer, text) }),
    ...(tags.length === 0 ? {} : { tags }),
  };
}

/**
 * Whether a key's text can have these fields, as LMCache's generations are told apart: with a leading field the third is
 * an integer, without it the second is; what follows the hash is a dtype or not. What else is wrong, {@link parseKey} says.
 */
export function hasKeyFields(text: string, fields: KeyFields): boolean {
  const split = text.split('@', fieldCount(fields) + 1);
  const at = fields.lead === undefined ? 0 : 1;
  if (fields.lead !== undefined && split[0] !== fields.lead) return false;
  return isCount(split[at + 1] ?? '') && isKeyDtype(split[at + ALWAYS] ?? '') === fields.dtype;
}

function fieldCount(fields: KeyFields): number {
  return ALWAYS + (fields.lead === undefined ? 0 : 1) + (fields.dtype ? 1 : 0);
}

function shapeOf(fields: KeyFields): string {
  const lead = fields.lead === undefined ? '' : `${fields.lead}@`;
  return `${lead}model@world_size@worker_id@hash${fields.dtype ? '@dtype' : ''}`;
}

function isCount(digits: string): boolean {
  return /^[0-9]+$/.test(digits);
}

function parseCount(field: string, digits: string, text: string): number {
  const value = isCount(digits) ? Number(digits) : NaN;
  if (!Number.isSafeInteger(value))
    throw invalid(`its ${field} ${quoted(digits)} is no integer from 0 to 2^53 - 1`, text);
  return value;
}

function parseHash(hex: string, text: string): ChunkHash {
  const [, sign, digits] = /^(-?)(?:0x)?([0-9a-f]+)$/i.exec(hex) ?? [];
  if (digits === undefined || digits.length > LONGEST_HASH) {
    throw invalid(`its hash ${quoted(hex)} is not 1 to ${LONGEST_HASH} hex digits`, text);
  }
  const lowercase = digits.toLowerCase();
  if (sign === '' && isDigest(lowercase)) return lowercase;
  const magnitude = BigInt(`0x${digits}`);
  return sign === '-' ? -magnitude : magnitude;
}

function parseTag(tag: string, text: string): Tag {
  const separator = tag.indexOf('%');
  if (separator < 0) throw invalid(`its tag ${quoted(tag)} has no %; a tag is name%value`, text);
  return [tag.slice(0, separator), tag.slice(separator + 1)];
}

function checkText(field: string, text: string, separators: string): void {
  if (typeof text !== 'string') throw invalid(`the ${field} is no string`, String(text));
  for (const separator of separators) {
    if (text.includes(separator)) {
      throw invalid(
        `the ${field} holds ${separator}, which separates a key's fields, so the key could not be read back`,
        text,
      );
    }
  }
  checkWellFormed(field, text);
}

/** Python refuses to encode half of a surrogate pair, and so does a file name. */
function checkWellFormed(field: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw invalid(`the ${field} holds half of a surrogate pair`, text);
}

function checkCount(field: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalid(`the ${field} is no integer from 0 to 2^53 - 1`, String(value));
}

function invalid(what: string, text: string): KVOffloadError {
  return new KVOffloadError('KVO_KEY_INVALID', `key ${quoted(text)}: ${what}`);
}

/** Quoted, and cut where it is long: a message is read by people. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
