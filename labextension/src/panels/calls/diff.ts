// What changed from one reply to another, word by word.

import { diffWordsWithSpace } from 'diff';

const MOST_EDITS = 1500; // words and gaps; finding more takes most of a second

/** A stretch of text that both have, or only one. */
export interface IPart {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

/** The words of both in reading order; null where they have too little in common to be compared. */
export function diffWords(before: string, after: string): IPart[] | null {
  const parts = diffWordsWithSpace(before, after, { maxEditLength: MOST_EDITS });
  return (
    parts?.map(({ value, added, removed }) => ({
      kind: added ? 'added' : removed ? 'removed' : 'same',
      text: value
    })) ?? null
  );
}

/** How many words each side has that the other has not. */
export function countWords(parts: readonly IPart[]): { added: number; removed: number } {
  const count = (kind: IPart['kind']): number =>
    parts
      .filter(part => part.kind === kind)
      .reduce((sum, { text }) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
  return { added: count('added'), removed: count('removed') };
}
