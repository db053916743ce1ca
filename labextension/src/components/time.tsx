// Times: relative, with the exact one on hover.

import type { ReactElement } from 'react';
import { formatAgo, formatExact, type ITranslation } from '../format.js';

/** `12 s ago`. */
export function Ago(props: { iso: string; now: number; trans: ITranslation }): ReactElement {
  return (
    <time dateTime={props.iso} title={formatExact(props.iso)}>
      {formatAgo(props.iso, props.now, props.trans)}
    </time>
  );
}
