/** Element types by their three names: torch's, LMCache's in keys, LMCache's in headers. */
import { nearest } from './config/nearest.js';
import { KVOffloadError } from './errors.js';

/** One element type. LMCache has a name for some of them in keys only, and for others in headers only. */
interface DtypeCells {
  /** torch's name without `torch.`. */
  readonly torch: string;
  /** torch's further names. */
  readonly aliases?: readonly string[];
  /** Name in a chunk's key. */
  readonly key?: string;
  /** Name in a chunk's header. */
  readonly header?: string;
  /** Bytes an element. */
  readonly bytes: number;
}

const ROWS = [
  { torch: 'float16', aliases: ['half'], key: 'half', header: 'F16', bytes: 2 },
  { torch: 'bfloat16', key: 'bfloat16', header: 'BF16', bytes: 2 },
  { torch: 'float32', aliases: ['float'], key: 'float', header: 'F32', bytes: 4 },
  { torch: 'float64', aliases: ['double'], key: 'double', header: 'F64', bytes: 8 },
  { torch: 'uint8', key: 'uint8', header: 'U8', bytes: 1 },
  { torch: 'uint16', header: 'U16', bytes: 2 },
  { torch: 'uint32', header: 'U32', bytes: 4 },
  { torch: 'uint64', header: 'U64', bytes: 8 },
  { torch: 'int8', key: 'int8', header: 'I8', bytes: 1 },
  { torch: 'int16', aliases: ['short'], key: 'int16', header: 'I16', bytes: 2 },
  { torch: 'int32', aliases: ['int'], key: 'int32', header: 'I32', bytes: 4 },
  { torch: 'int64', aliases: ['long'], key: 'int64', header: 'I64', bytes: 8 },
  { torch: 'bool', key: 'bool', bytes: 1 },
  { torch: 'float8_e4m3fn', key: 'fp8_e4m3fn', header: 'F8E4M3FN', bytes: 1 },
  { torch: 'float8_e4m3fnuz', key: 'fp8_e4m3fnuz', bytes: 1 },
  { torch: 'float8_e5m2', key: 'fp8_e5m2', header: 'F8E5M2', bytes: 1 },
  { torch: 'float8_e5m2fnuz', key: 'fp8_e5m2fnuz', bytes: 1 },
] as const satisfies readonly DtypeCells[];

type Row = (typeof ROWS)[number];

/** A dtype's name in a chunk's key. */
export type KeyDtype = Extract<Row, { key: string }>['key'];
/** A dtype's name in a chunk's header. */
export type HeaderDtype = Extract<Row, { header: string }>['header'];

/** One element type, as {@link dtypeOf} gives it. */
export interface Dtype extends DtypeCells {
  readonly key?: KeyDtype;
  readonly header?: HeaderDtype;
}

/** Every element type, one row each. */
export const DTYPES: readonly Dtype[] = ROWS;

const BY_NAME = index((row) => {
  const torch = [row.torch, ...(row.aliases ?? [])];
  return [...torch, ...torch.map((name) => `torch.${name}`), row.key, row.header];
});
const BY_KEY = index((row) => [row.key]);
const BY_HEADER = index((row) => [row.header]);

/**
 * The element type of any of its names: `bfloat16`, `torch.bfloat16`, `half`, `fp8_e4m3fn`, `BF16`, …
 *
 * @throws KVOffloadError `KVO_DTYPE_UNKNOWN` with the nearest known name
 */
export function dtypeOf(name: string): Dtype {
  const row = BY_NAME.get(name);
  if (row) return row;
  const guess = typeof name === 'string' ? nearest(name, BY_NAME.keys()) : undefined;
  throw new KVOffloadError(
    'KVO_DTYPE_UNKNOWN',
    `dtype ${JSON.stringify(name)} is not known${guess ? `; did you mean ${guess.name}?` : ''}`,
  );
}

/** A dtype's name in keys, from any of its names. @throws KVOffloadError `KVO_DTYPE_UNKNOWN` where it has none */
export function keyDtype(name: string): KeyDtype {
  return dtypeOf(name).key ?? refuse(name, 'keys', BY_KEY);
}

/** A dtype's name in headers, from any of its names. @throws KVOffloadError `KVO_DTYPE_UNKNOWN` where it has none */
export function headerDtype(name: string): HeaderDtype {
  return dtypeOf(name).header ?? refuse(name, 'headers', BY_HEADER);
}

/** True for exactly the names that keys use. */
export function isKeyDtype(name: string): name is KeyDtype {
  return BY_KEY.has(name);
}

/** True for exactly the names that headers use. */
export function isHeaderDtype(name: unknown): name is HeaderDtype {
  return typeof name === 'string' && BY_HEADER.has(name);
}

function index(namesOf: (row: Dtype) => readonly (string | undefined)[]): ReadonlyMap<string, Dtype> {
  const map = new Map<string, Dtype>();
  for (const row of DTYPES) for (const name of namesOf(row)) if (name !== undefined) map.set(name, row);
  return map;
}

function refuse(name: string, place: string, known: ReadonlyMap<string, Dtype>): never {
  throw new KVOffloadError(
    'KVO_DTYPE_UNKNOWN',
    `dtype ${name} has no name in LMCache's ${place}; use one of ${[...known.keys()].join(', ')}`,
  );
}
