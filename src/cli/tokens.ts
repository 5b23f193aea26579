/** Tokens from a file or standard input. */
import { type TokenArray, toTokens } from '../chunks.js';
import { KVOffloadError } from '../errors.js';
import { inputName, readText } from './input.js';

/**
 * Reads tokens: a JSON array, or numbers with white space or commas between.
 *
 * @param file - `-` is standard input
 * @throws KVOffloadError `KVO_ARGUMENT_INVALID` where it cannot be read, `KVO_TOKENS_INVALID`
 */
export async function readTokens(file: string): Promise<TokenArray> {
  return parseTokens(await readText(file), inputName(file));
}

/** @param name - what messages call the text */
export function parseTokens(text: string, name: string): TokenArray {
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  try {
    return toTokens((trimmed.startsWith('[') ? parseJson(trimmed) : parseWords(trimmed)) as number[]);
  } catch (error) {
    if (!(error instanceof KVOffloadError)) throw error;
    throw new KVOffloadError(error.code, `${name}: ${error.message}`, error.cause);
  }
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`it begins with [, but is no JSON array (${cause instanceof Error ? cause.message : ''})`, cause);
  }
  // Elements are judged with the others; but 9007199254740990.5 has become an integer by now.
  if (/[.eE]/.test(text)) toTokens(value as number[]);
  if (/[.eE]/.test(text)) throw invalid('tokens are written as integers, without point and exponent');
  return value;
}

function parseWords(text: string): number[] {
  if (text === '') return [];
  return text
    .replace(/,$/, '')
    .split(/\s*,\s*|\s+/)
    .map((word, i) => {
      if (/^[0-9]+$/.test(word)) return Number(word);
      throw invalid(`token ${i} is ${JSON.stringify(word.slice(0, 40))}; tokens are integers from 0 to 2^53 - 1`);
    });
}

function invalid(what: string, cause?: unknown): KVOffloadError {
  return new KVOffloadError('KVO_TOKENS_INVALID', what, cause);
}
