// The views: what a notebook's output shows of runs. The same in JupyterLab and in the widget.

import type { ReactElement } from 'react';
import type { IViewContext } from './context.js';
import { RunCard } from './card.js';
import { CostView } from './cost.js';
import { LogOutput, MetricsOutput } from './run.js';
import { DashboardOutput, TableOutput } from './runs.js';
import type { ViewSpec } from './spec.js';

/** One view, in its surroundings. */
export function View({ spec, context }: { spec: ViewSpec; context: IViewContext }): ReactElement {
  return (
    <div className="jp-MelleaView">
      <Shown key={JSON.stringify(spec)} spec={spec} context={context} />
    </div>
  );
}

function Shown({ spec, context }: { spec: ViewSpec; context: IViewContext }): ReactElement {
  switch (spec.view) {
    case 'run':
      return <RunCard runId={spec.run_id} context={context} />;
    case 'log':
      return <LogOutput runId={spec.run_id} context={context} />;
    case 'metrics':
      return <MetricsOutput runId={spec.run_id} context={context} />;
    case 'runs':
      return <DashboardOutput filters={spec.filters} context={context} />;
    case 'table':
      return <TableOutput filters={spec.filters} context={context} />;
    case 'cost':
      return <CostView by={spec.by} lastSeconds={spec.last_seconds} context={context} />;
    default: {
      const unknown: never = spec;
      return unknown;
    }
  }
}
