// How errors read.

import { ApiError } from '../api/rest.js';

/** What an error says to people: the sentence and the next step. */
export function describeError(error: unknown): string {
  return error instanceof ApiError && error.hint
    ? `${error.message.replace(/\.?$/, '.')} ${error.hint}`
    : (error as Error).message;
}
