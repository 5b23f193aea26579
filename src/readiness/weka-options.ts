/** What options of a WekaFS mount mean for a KV cache. Those not here don't touch it. */

/** A mount option in words. */
export interface ExplainedOption {
  /** As mounted: `dentry_max_age_negative=0`. */
  readonly option: string;
  readonly meaning: string;
}

type Meaning = (value: string) => string;

const LOOKUPS = 'a lookup that failed is remembered';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  rw: () => 'chunks can be stored',
  ro: () => 'read-only: chunks can be read, not stored',
  writecache: () => 'page cache, write-back; for POSIX I/O only, GPUDirect Storage bypasses it',
  readcache: () => 'page cache, write-through; for POSIX I/O only, GPUDirect Storage bypasses it',
  forcedirect: () => 'no page cache; GPUDirect Storage never uses one',
  dentry_max_age_negative: (ms) =>
    Number(ms) === 0
      ? `never ${LOOKUPS}: another node’s new chunk is seen at once`
      : `${LOOKUPS} for ${ms} ms: another node’s new chunk stays a miss as long`,
  dentry_max_age_positive: (ms) => `another node’s deletes show after at most ${ms} ms`,
  relatime: () => 'reads need not update access times: nothing here depends on them',
  noatime: () => 'reads never update access times: nothing here depends on them',
  relatime_threshold: () => 'seconds after which a read updates the access time; 0: never',
  readahead_kb: (kb) => `POSIX reads fetch up to ${kb} KiB ahead`,
  container_name: (name) => `served by the WEKA client container ${name}`,
};

/** The options that mean something here, in the mount's order. */
export function explainOptions(options: readonly string[]): ExplainedOption[] {
  return options.flatMap((option) => {
    const [name = '', value = ''] = option.split('=', 2);
    const meaning = Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : undefined;
    return meaning === undefined ? [] : [{ option, meaning: meaning(value) }];
  });
}

/** What will surprise, from the options alone. */
export function optionWarnings(options: readonly string[]): string[] {
  const warnings: string[] = [];
  const negative = optionValue(options, 'dentry_max_age_negative');
  if (negative !== undefined && Number(negative) !== 0) {
    warnings.push(
      `dentry_max_age_negative is ${negative}, not 0: for that many ms a chunk that another node has just stored stays a ` +
        'miss; remount with dentry_max_age_negative=0',
    );
  }
  if (options.includes('ro')) warnings.push('read-only: chunks can be read, not stored; remount with rw');
  return warnings;
}

export function optionValue(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
}
