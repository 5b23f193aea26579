/** Chunks to measure with: those of known models, or of a number of bytes. */
import { KVOffloadError } from '../../errors.js';
import type { ModelDescription } from '../../store/types.js';

/** One kind of chunk. */
export interface ChunkPreset {
  /** What the option and the report call it. */
  readonly name: string;
  readonly model: ModelDescription;
  readonly chunkTokens: number;
  /** Payload bytes of a chunk. */
  readonly chunkBytes: number;
}

const TOKENS = 256;
const MIB = 2 ** 20;
const MOST_BYTES = 1024 * MIB;

/** By the name of the option. Shapes are those of one rank. */
const MODELS: Readonly<Record<string, ModelDescription>> = {
  'llama-3.1-8b': {
    modelName: 'meta-llama/Llama-3.1-8B-Instruct',
    kvDtype: 'bfloat16',
    kvShape: [32, 2, TOKENS, 8, 128],
  },
  'llama-3.3-70b-fp8-tp4': {
    modelName: 'meta-llama/Llama-3.3-70B-Instruct',
    kvDtype: 'fp8_e4m3fn',
    worldSize: 4,
    kvShape: [80, 2, TOKENS, 2, 128],
  },
  'deepseek-v3': {
    modelName: 'deepseek-ai/DeepSeek-V3',
    kvDtype: 'bfloat16',
    useMla: true,
    kvShape: [61, 1, TOKENS, 1, 576],
  },
};
const DTYPE_BYTES: Readonly<Record<string, number>> = { bfloat16: 2, fp8_e4m3fn: 1 };
const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KIB: 1024, K: 1024, MIB, M: MIB };

/** The names of the presets. */
export const PRESET_NAMES: readonly string[] = Object.keys(MODELS);

/** Bytes of KV cache that one token takes on one rank of a preset. */
export function bytesPerToken({ chunkBytes, chunkTokens }: ChunkPreset): number {
  return chunkBytes / chunkTokens;
}

/**
 * A preset by its name, or chunks of so many bytes: `32MiB`, `64KiB`, `65536`.
 *
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID`
 */
export function presetOf(text: string): ChunkPreset {
  const model = MODELS[text.toLowerCase()];
  if (model !== undefined) {
    const chunkBytes = model.kvShape.reduce(
      (product, dimension) => product * dimension,
      DTYPE_BYTES[model.kvDtype] ?? 1,
    );
    return { name: text.toLowerCase(), model, chunkTokens: TOKENS, chunkBytes };
  }
  const [, digits, unit = ''] = /^([0-9]+) *([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit.toUpperCase()] ?? NaN);
  if (bytes >= 1 && bytes <= MOST_BYTES) return ofBytes(bytes);
  throw new KVOffloadError(
    'KVO_ARGUMENT_INVALID',
    `a chunk is ${JSON.stringify(text)}; it is one of ${PRESET_NAMES.join(', ')}, or bytes up to 1024MiB, such as 32MiB or 64KiB`,
  );
}

/** Chunks of bytes and nothing else: one layer of U8, of as many tokens, 256 at most, as divide them. */
function ofBytes(bytes: number): ChunkPreset {
  let tokens = TOKENS;
  while (bytes % tokens !== 0) tokens /= 2;
  return {
    name: sizeText(bytes),
    model: { modelName: `bench-${bytes}`, kvDtype: 'uint8', useMla: true, kvShape: [1, 1, tokens, 1, bytes / tokens] },
    chunkTokens: tokens,
    chunkBytes: bytes,
  };
}

/** `32MiB`, `64KiB`, `1000`: as {@link presetOf} reads it. */
export function sizeText(bytes: number): string {
  if (bytes % MIB === 0) return `${bytes / MIB}MiB`;
  return bytes % 1024 === 0 ? `${bytes / 1024}KiB` : String(bytes);
}
