// One line about a sampling loop, which folds what is in it.

import type { ReactElement } from 'react';
import type { LlmCall, SamplingLoop } from '../../api/schema.js';
import { Icon, type IconName } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import { loopEffort, loopResult, loopTitle, outcomeText } from './grid.js';

const ICONS: Record<string, [IconName, string]> = {
  active: ['running', 'running'],
  met: ['succeeded', 'succeeded'],
  not_met: ['unmet', 'unmet'],
  failed: ['failed', 'failed']
};

interface ILoopHeadProps {
  loop: SamplingLoop;
  /** The loop's first call. */
  first: LlmCall | undefined;
  isOpen: boolean;
  onTurn: () => void;
  trans: ITranslation;
}

/** `instruct “Write an email…”  RepairTemplate · 3 attempts · met on 3rd · $0.0021 (repair 58 %)`. */
export function LoopHead(props: ILoopHeadProps): ReactElement {
  const { loop, isOpen, trans } = props;
  const [icon, modifier] = ICONS[loop.status] ?? ['running', 'running'];
  return (
    <button
      type="button"
      className={`jp-MelleaLoop-head jp-mod-${loop.status}`}
      aria-expanded={isOpen}
      data-first
      onClick={props.onTurn}
    >
      <Icon name={isOpen ? 'down' : 'right'} />
      <span className={`jp-MelleaStatus jp-mod-${modifier}`}>
        <Icon name={icon} />
      </span>
      <span className="jp-MelleaLoop-line">
        <strong>{loopTitle(loop, props.first, trans)}</strong>{' '}
        <span className="jp-MelleaLoop-facts">
          {loopEffort(loop, trans).join(' · ')} ·{' '}
          <span className="jp-MelleaLoop-outcome">{outcomeText(loop, trans)}</span>
          {loopResult(loop, trans).map(text => ` · ${text}`)}
        </span>
      </span>
    </button>
  );
}
