/** Tuples in canonical CBOR, as vLLM's `sha256_cbor` and `xxhash_cbor` spell them. */
import {
  CBOR_ARRAY_OF_3,
  CBOR_EMPTY_ARRAY,
  CBOR_LONGEST_HEAD,
  CBOR_NULL,
  cborText,
  tokensRoom,
  writeBytes,
  writeTokens,
  writeUint64,
} from './cbor.js';
import { LONGEST_LINK, type TupleSpelling } from './tuple.js';

export const CBOR: TupleSpelling = {
  text: cborText,
  room: (count) => 1 + CBOR_LONGEST_HEAD + LONGEST_LINK + tokensRoom(count) + 1,
  tuple(view, { high, low, bytes }, tokens, start, end, extra) {
    view.setUint8(0, CBOR_ARRAY_OF_3);
    const items = bytes === undefined ? writeUint64(view, 1, high, low) : writeBytes(view, 1, bytes);
    const at = writeTokens(view, items, tokens, start, end);
    view.setUint8(at, extra === 'none' ? CBOR_NULL : CBOR_EMPTY_ARRAY);
    return at + 1;
  },
};
