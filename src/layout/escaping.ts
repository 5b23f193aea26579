/** How keys become file names. Both ways work character by character, so that a name's parts can be escaped apart. */
import { KVOffloadError } from '../errors.js';

/** One way. */
export interface Escaping {
  /** @throws KVOffloadError `KVO_KEY_INVALID` for text that it cannot spell */
  readonly escape: (text: string) => string;
  /** @throws KVOffloadError `KVO_KEY_INVALID` for what no text is escaped to */
  readonly unescape: (name: string) => string;
  /** Whether a name looks escaped this way: keys hold `@`, which only one of them leaves as it is. */
  readonly fits: (name: string) => boolean;
}

/** As Python's `urllib.parse.quote(text, safe='')`: everything but letters, digits and `_.-~` is percent-encoded UTF-8. */
export function quote(text: string): string {
  return encodeURIComponent(text).replace(/[!*'()]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Of LMCache since 0.4.3. */
export const QUOTED: Escaping = {
  escape: quote,
  unescape(name) {
    try {
      return decodeURIComponent(name);
    } catch (cause) {
      throw new KVOffloadError('KVO_KEY_INVALID', `file name ${show(name)} is not percent-encoded UTF-8`, cause);
    }
  },
  fits: (name) => !name.includes('@'),
};

/** Of LMCache before: `/` becomes `_` and nothing else is changed. Its reader turns every `_` back, so no key may hold one. */
export const UNDERSCORED: Escaping = {
  escape(text) {
    if (text.includes('_')) {
      throw new KVOffloadError(
        'KVO_KEY_INVALID',
        `key part ${show(text)} holds _, which LMCache before 0.4.3 cannot store (fp8 dtypes hold one too); ` +
          'rename the model or tag, or set lmcache_version to 0.4.3 or later',
      );
    }
    if (text.includes('\0')) {
      throw new KVOffloadError('KVO_KEY_INVALID', `key part ${show(text)} holds NUL, which no file name can`);
    }
    return text.replaceAll('/', '_');
  },
  unescape: (name) => name.replaceAll('_', '/'),
  fits: (name) => name.includes('@'),
};

function show(text: string): string {
  return JSON.stringify(text.length > 255 ? `${text.slice(0, 255)}…` : text);
}
