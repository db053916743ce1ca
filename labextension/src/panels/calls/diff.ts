// What changed from one reply to another, word by word.

import { diffWordsWithSpace } from 'diff';

const MOST_EDITS = 1500; // words and gaps; finding more takes most of a second

/** A stretch of text that both have, or only one. */
export interface IPart {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

/**
 * The words of both in reading order, of each change what was removed first; null where they have
 * too little in common to be compared.
 */
export function diffWords(before: string, after: string): IPart[] | null {
  const found = diffWordsWithSpace(before, after, { maxEditLength: MOST_EDITS });
  if (!found) {
    return null;
  }
  const parts: IPart[] = [];
  let removed = '';
  let added = '';
  const close = (): void => {
    if (removed) {
      parts.push({ kind: 'removed', text: removed });
    }
    if (added) {
      parts.push({ kind: 'added', text: added });
    }
    removed = added = '';
  };
  found.forEach((part, at) => {
    const isGap = /^[^\S\n]+$/.test(part.value) && removed !== '' && added !== '';
    if (part.removed) {
      removed += part.value;
    } else if (part.added) {
      added += part.value;
    } else if (isGap && at < found.length - 1) {
      removed += part.value; // two words in a row were changed
      added += part.value;
    } else {
      close();
      parts.push({ kind: 'same', text: part.value });
    }
  });
  close();
  return parts;
}

/** How many words each side has that the other has not. */
export function countWords(parts: readonly IPart[]): { added: number; removed: number } {
  const count = (kind: IPart['kind']): number =>
    parts
      .filter(part => part.kind === kind)
      .reduce((sum, { text }) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
  return { added: count('added'), removed: count('removed') };
}
