/** What the published types accept and refuse. Checked by tsc alone; nothing here runs. */
import { expectTypeOf } from 'vitest';
import {
  type CallOptions,
  type MoveOptions,
  type Check,
  type ChunkResult,
  type Config,
  type CufileConfig,
  type ERROR_CODES,
  type ErrorCode,
  KVCacheEngine,
  type KVOffloadError,
  type LoadConfigOptions,
  type ModelDescription,
  type RetrieveOutcome,
  type RetrieveResult,
  type Slot,
  type StoreOutcome,
  type StoreResult,
  type Tokens,
  type WekaMounts,
  buildCufileConfig,
  findWekaMounts,
  loadConfig,
  runDoctor,
} from 'kv-offload';

const model = { modelName: 'm', kvDtype: 'bfloat16', kvShape: [32, 2, 256, 8, 128] } as const;

// Opening
expectTypeOf(loadConfig).toEqualTypeOf<(options?: LoadConfigOptions) => Promise<Config>>();
expectTypeOf(KVCacheEngine.open).parameters.toEqualTypeOf<[config: Config, model: ModelDescription]>();
expectTypeOf(KVCacheEngine.open).returns.resolves.toEqualTypeOf<KVCacheEngine>();
// @ts-expect-error an engine is opened, not constructed
void new KVCacheEngine();
// @ts-expect-error configuration comes from loadConfig(), which checks it
void KVCacheEngine.open({ chunkSize: 256 }, model);

// The model
expectTypeOf(model).toExtend<ModelDescription>();
// @ts-expect-error four dimensions: the chunk is missing
void ({ ...model, kvShape: [32, 2, 8, 128] } satisfies ModelDescription);
// @ts-expect-error a dtype is asked for
void ({ modelName: 'm', kvShape: [32, 2, 256, 8, 128] } satisfies ModelDescription);
// @ts-expect-error a misspelt field
void ({ ...model, worldsize: 2 } satisfies ModelDescription);

// Tokens
expectTypeOf<number[]>().toExtend<Tokens>();
expectTypeOf<readonly number[]>().toExtend<Tokens>();
expectTypeOf<Uint32Array>().toExtend<Tokens>();
expectTypeOf<BigInt64Array>().toExtend<Tokens>();
expectTypeOf<string[]>().not.toExtend<Tokens>();
expectTypeOf<bigint[]>().not.toExtend<Tokens>();

// Calls
declare const engine: KVCacheEngine;
expectTypeOf(engine.lookup([1])).resolves.toEqualTypeOf<number>();
expectTypeOf(engine.store([1], [new Float32Array(1)])).resolves.toEqualTypeOf<StoreResult>();
expectTypeOf(engine.retrieve(new Uint32Array(1), [new Uint8Array(1)])).resolves.toEqualTypeOf<RetrieveResult>();
expectTypeOf<Parameters<KVCacheEngine['store']>[2]>().toEqualTypeOf<MoveOptions | undefined>();
expectTypeOf<Parameters<KVCacheEngine['lookup']>[1]>().toEqualTypeOf<CallOptions | undefined>();
void engine.store([1], [new Uint8Array(1)], { after: { stream: 0n } });
// @ts-expect-error CUDA's handles are bigints
void engine.store([1], [new Uint8Array(1)], { after: { event: 1 } });
void engine.store([1], [[new Uint8Array(1), { memory: new Uint8Array(8), offset: 4, length: 4 }]]);
void engine.lookup([1], { signal: AbortSignal.timeout(1), skipTokens: 256, tags: { user: 'a' } });
// @ts-expect-error memory is bytes, not text
void engine.store([1], ['text']);
// @ts-expect-error tags are text
void engine.lookup([1], { tags: { user: 1 } });

// Answers
expectTypeOf<StoreOutcome>().toEqualTypeOf<'stored' | 'exists' | 'dropped' | 'failed'>();
expectTypeOf<RetrieveOutcome>().toEqualTypeOf<'hit' | 'miss' | 'corrupt' | 'failed'>();
expectTypeOf<StoreResult['chunks'][number]>().toEqualTypeOf<ChunkResult<StoreOutcome>>();
expectTypeOf<RetrieveResult['chunks'][number]['error']>().toEqualTypeOf<KVOffloadError | undefined>();
declare const result: RetrieveResult;
// @ts-expect-error an answer is not to be changed
result.tokens = 0;

// Disposal
expectTypeOf(engine).toExtend<AsyncDisposable>();
expectTypeOf<Slot>().toExtend<Disposable>();
expectTypeOf<Slot['bytes']>().toExtend<Uint8Array>();

// Errors
declare const error: KVOffloadError;
expectTypeOf(error).toExtend<Error>();
expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
expectTypeOf(error.retriable).toEqualTypeOf<boolean>();
expectTypeOf<keyof typeof ERROR_CODES>().toEqualTypeOf<ErrorCode>();
// @ts-expect-error no such code
void (error.code === 'KVO_NO_SUCH_CODE');

// A node's readiness
expectTypeOf(runDoctor).returns.resolves.toExtend<{ ready: boolean; reason: string; checks: readonly Check[] }>();
expectTypeOf<Check['status']>().toEqualTypeOf<'ok' | 'warn' | 'fail' | 'unknown'>();
expectTypeOf<Check['fix']>().toEqualTypeOf<string | null>();
expectTypeOf(findWekaMounts).returns.resolves.toEqualTypeOf<WekaMounts>();
expectTypeOf(buildCufileConfig).returns.resolves.toEqualTypeOf<CufileConfig>();
// @ts-expect-error a path, not several: the settings name several
void runDoctor({ path: ['/a'] });
