// From a line of the log that tells of an LLM call or a sampling loop to what is known of it.

import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import type { ILine } from '../../logview/core/buffer.js';

/** A call or a sampling loop. */
export interface ICallsTarget {
  call?: number;
  loop?: number;
}

/** The link behind such a line; nothing behind others. */
export function CallsLink(props: {
  line: ILine;
  onShow: (target: ICallsTarget) => void;
  trans: ITranslation;
}): ReactElement | null {
  const { line, trans } = props;
  const { call, loop } = (line.stream === 'system' && line.metadata) || {};
  const target = typeof call === 'number' ? { call } : typeof loop === 'number' ? { loop } : null;
  return target === null ? null : (
    <button
      type="button"
      className="jp-MelleaLog-calls"
      aria-label={
        target.call === undefined
          ? trans.__('Show loop %1 in Calls', target.loop)
          : trans.__('Show call %1 in Calls', target.call)
      }
      onClick={() => props.onShow(target)}
    >
      {trans.__('show')}
    </button>
  );
}
