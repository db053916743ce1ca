// A JSON value as a tree that can be folded. Programs and models write it: text nodes only.

import { useState, type ReactElement } from 'react';
import type { ITranslation } from '../format.js';
import { formatNumber } from '../format.js';

const SHOWN_ENTRIES = 50;
const SHOWN_CHARACTERS = 2000;
const OPEN_DEPTH = 2;
const OPEN_ENTRIES = 20;

interface ITreeProps {
  value: unknown;
  trans: ITranslation;
  label?: string;
  depth?: number;
}

/** One value and, below it, what it holds. */
export function JsonTree({ value, trans, label, depth = 0 }: ITreeProps): ReactElement {
  const [isWhole, setWhole] = useState(false);
  const [isOpen, setOpen] = useState(
    () => depth < OPEN_DEPTH && typeof value === 'object' && countOf(value) <= OPEN_ENTRIES
  );
  const name = label === undefined ? null : <span className="jp-MelleaTree-key">{label}: </span>;
  if (typeof value !== 'object' || value === null) {
    return (
      <div className="jp-MelleaTree-leaf">
        {name}
        <Leaf value={value} trans={trans} />
      </div>
    );
  }
  const entries = Object.entries(value);
  // what is folded is not drawn: a value of a few hundred kB would hold up the page
  const shown = !isOpen ? [] : isWhole ? entries : entries.slice(0, SHOWN_ENTRIES);
  const size = formatNumber(entries.length);
  return (
    <details
      className="jp-MelleaTree"
      open={isOpen}
      onToggle={event => setOpen(event.currentTarget.open)}
    >
      <summary>
        {name}
        <span className="jp-MelleaTree-size">
          {Array.isArray(value) ? `[${size}]` : `{${size}}`}
        </span>
      </summary>
      {shown.map(([key, each]) => (
        <JsonTree key={key} label={key} value={each} trans={trans} depth={depth + 1} />
      ))}
      {isOpen && shown.length < entries.length && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => setWhole(true)}
        >
          {trans._n(
            '%2 more',
            '%2 more',
            entries.length - shown.length,
            formatNumber(entries.length - shown.length)
          )}
        </button>
      )}
    </details>
  );
}

const countOf = (value: object | null): number => Object.keys(value ?? {}).length;

function Leaf({ value, trans }: { value: unknown; trans: ITranslation }): ReactElement {
  const text = typeof value === 'string' ? value : String(value);
  const cut = text.length - SHOWN_CHARACTERS;
  return (
    <span className={`jp-MelleaTree-value jp-mod-${value === null ? 'null' : typeof value}`}>
      {cut > 0 ? text.slice(0, SHOWN_CHARACTERS) : text}
      {cut > 0 && <em>{trans.__(' … %1 more characters', formatNumber(cut))}</em>}
    </span>
  );
}
