// One line about a sampling loop, which folds what is in it.

import type { ReactElement } from 'react';
import type { LlmCall, SamplingLoop } from '../../api/schema.js';
import { Icon, type IconName } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import { bestOf, loopFacts, loopTitle } from './grid.js';

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
  const best = loop.status === 'not_met' ? bestOf(loop) : null;
  const facts = loopFacts(loop, trans);
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
      <span className="jp-MelleaLoop-title">{loopTitle(loop, props.first, trans)}</span>
      <span className="jp-MelleaLoop-facts">
        {best
          ? [...facts, trans.__('best %1 of %2', best.passed, best.of)].join(' · ')
          : facts.join(' · ')}
      </span>
    </button>
  );
}
