// Totals of the filter by model, program, owner or day; what draws them is loaded when asked for.

import { useEffect, useState, type ReactElement } from 'react';
import type { RunsStream } from '../../api/stream.js';
import { useSignal } from '../../components/hooks.js';
import type { ITranslation } from '../../format.js';
import type { RunsTableModel } from '../../models/table.js';
import type * as Cost from '../../views/cost.js';
import type { CostGroup } from '../../views/spec.js';

interface IBreakdownProps {
  model: RunsTableModel;
  stream: RunsStream;
  trans: ITranslation;
}

/** A choice of what to group by, and the groups. */
export function Breakdown({ model, stream, trans }: IBreakdownProps): ReactElement {
  useSignal(model.changed);
  const [by, setBy] = useState<CostGroup | ''>('');
  const [cost, setCost] = useState<typeof Cost | null>(null);
  useEffect(() => {
    if (by !== '') {
      void import('../../views/cost.js').then(setCost);
    }
  }, [by]);
  const groups: [CostGroup, string][] = [
    ['model', trans.__('Model')],
    ['asset', trans.__('Program')],
    ['owner', trans.__('Owner')],
    ['day', trans.__('Day')]
  ];
  return (
    <div className="jp-MelleaDashboard-breakdown">
      <label>
        {trans.__('Totals by')}{' '}
        <select
          className="jp-mod-styled"
          value={by}
          onChange={event => setBy(event.target.value as CostGroup | '')}
        >
          <option value="">{trans.__('nothing')}</option>
          {groups.map(([group, label]) => (
            <option key={group} value={group}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {by !== '' && cost !== null && (
        <cost.CostView
          by={by}
          lastSeconds={null}
          filters={model.state.filters}
          context={{ api: model.api, stream, trans }}
        />
      )}
    </div>
  );
}
