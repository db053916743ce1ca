// The status bar item: today's cost, and how many runs are active.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReactElement } from 'react';
import { CommandIDs } from '../commands.js';
import { useSignal } from '../components/hooks.js';
import { Icon } from '../components/icons.js';
import { formatMoney, type ITranslation } from '../format.js';
import type { RunsModel } from '../models/runs.js';

/** The item's shell. */
export class TodayItem extends ReactWidget {
  constructor(
    private readonly model: RunsModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    super();
    this.addClass('jp-MelleaToday');
  }

  protected override render(): ReactElement {
    return <Today model={this.model} commands={this.commands} trans={this.trans} />;
  }
}

function Today(props: {
  model: RunsModel;
  commands: CommandRegistry;
  trans: ITranslation;
}): ReactElement | null {
  const { model, commands, trans } = props;
  useSignal(model.changed);
  const { today } = model;
  const active = model.active.length;
  if (today === null) {
    return null;
  }
  const cost = formatMoney(today.total_cost_usd);
  const text = today.unpriced_calls > 0 ? `≥ ${cost}` : cost;
  const label = trans.__('Mellea runs today: %1, %2 active', text, active);
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={() => void commands.execute(CommandIDs.openDashboard)}
    >
      {active > 0 && (
        <>
          <Icon name="running" /> {active} ·{' '}
        </>
      )}
      {trans.__('Mellea %1', text)}
    </button>
  );
}
