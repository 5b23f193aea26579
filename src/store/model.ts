/** A model description, checked against the configuration, as the rest of the store uses it. */
import type { Config } from '../config/index.js';
import { type HeaderDtype, headerDtype, keyDtype } from '../dtypes.js';
import { KVOffloadError } from '../errors.js';
import type { KeyIdentity, Tag } from '../keys.js';
import { type MemoryFormat, chunkShape, layerShape, shapeBytes } from '../layout/index.js';
import type { CallOptions, ModelDescription } from './types.js';

/** What a chunk of so many tokens is. */
export interface ChunkTensor {
  readonly dtype: HeaderDtype;
  readonly shape: readonly number[];
  readonly format: MemoryFormat;
  /** Payload bytes. */
  readonly bytes: number;
}

/** A checked model. */
export class Model {
  readonly identity: KeyIdentity;
  /** How many layers it has. */
  readonly layers: number;
  /** Why this worker stores nothing, or undefined where it does. */
  readonly storesNothing: string | undefined;
  readonly #dtype: HeaderDtype;
  readonly #mla: boolean;
  readonly #layerwise: boolean;
  readonly #dimensions: { readonly layers: number; readonly heads: number; readonly headSize: number };
  readonly #tensors = new Map<number, ChunkTensor>();

  /** @throws KVOffloadError `KVO_MODEL_INVALID`, `KVO_DTYPE_UNKNOWN`, `KVO_UNSUPPORTED` */
  constructor(description: ModelDescription, config: Config) {
    const { modelName, worldSize = 1, workerId = 0, kvShape, useMla = false } = description;
    if (typeof modelName !== 'string' || modelName === '')
      throw invalid('modelName is no text; give it as vLLM has it');
    if (!isCount(worldSize, 1)) throw invalid(`worldSize is ${String(worldSize)}, no integer from 1 up`);
    if (!isCount(workerId, 0) || workerId >= worldSize) {
      throw invalid(`workerId is ${String(workerId)}, no integer from 0 to worldSize - 1, ${worldSize - 1}`);
    }
    const dimensions: readonly unknown[] = Array.isArray(kvShape) ? kvShape : [];
    if (dimensions.length !== 5 || !dimensions.every((dimension) => isCount(dimension, 1))) {
      throw invalid('kvShape is not five integers from 1 up: (layers, 2 or 1, chunk_size, KV heads, head size)');
    }
    const [layers, kv, chunk, heads, headSize] = kvShape;
    if (kv !== (useMla ? 1 : 2)) {
      throw invalid(`kvShape[1] is ${kv}; it is 1 for a model with multi-head latent attention (useMla), else 2`);
    }
    if (chunk !== config.chunkSize) {
      throw invalid(`kvShape[2] is ${chunk}, but chunk_size is ${config.chunkSize}; they must be equal`);
    }
    // As in LMCache, the setting means nothing for other models: there every rank holds heads of its own. With MLA all
    // hold the same, so the others read what worker 0 stored.
    const onlyFirst = useMla && (config.saveOnlyFirstRank ?? true);
    this.identity = {
      modelName,
      worldSize: useMla ? 1 : worldSize,
      workerId: onlyFirst ? 0 : workerId,
      dtype: keyDtype(description.kvDtype),
    };
    this.storesNothing =
      onlyFirst && workerId !== 0
        ? `worker ${workerId} does not store: only worker 0 saves (save_only_first_rank)`
        : undefined;
    if (config.useLayerwise && useMla) {
      throw new KVOffloadError(
        'KVO_UNSUPPORTED',
        'use_layerwise is true, which models with multi-head latent attention do not have here; set it to false',
      );
    }
    this.layers = layers;
    this.#layerwise = config.useLayerwise;
    this.#dtype = headerDtype(description.kvDtype);
    this.#mla = useMla;
    this.#dimensions = { layers, heads, headSize };
    if (!Number.isSafeInteger(this.tensor(chunk).bytes))
      throw invalid('a chunk of kvShape has more than 2^53 - 1 bytes');
  }

  /** The tensor of a chunk of so many tokens; with use_layerwise, of one layer of it. */
  tensor(tokens: number): ChunkTensor {
    const known = this.#tensors.get(tokens);
    if (known) return known;
    const { shape, format } = this.#layerwise
      ? layerShape(this.#dimensions, tokens)
      : chunkShape(this.#dimensions, tokens, this.#mla);
    const tensor = { dtype: this.#dtype, shape, format, bytes: shapeBytes(shape, this.#dtype) };
    this.#tensors.set(tokens, tensor);
    return tensor;
  }
}

/** Tags in order. @throws KVOffloadError `KVO_ARGUMENT_INVALID` for values that are no text */
export function tagsOf(tags: CallOptions['tags'] = {}): Tag[] {
  const pairs: unknown[] = Array.isArray(tags) ? tags : Object.entries(tags);
  return pairs.map((pair) => {
    const [name, value] = Array.isArray(pair) ? (pair as unknown[]) : [pair];
    if (typeof name === 'string' && typeof value === 'string') return [name, value];
    throw new KVOffloadError('KVO_ARGUMENT_INVALID', `tag ${String(name)}: name and value must both be text`);
  });
}

function isCount(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function invalid(what: string): KVOffloadError {
  return new KVOffloadError('KVO_MODEL_INVALID', `model: ${what}`);
}
