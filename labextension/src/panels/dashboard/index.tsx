// The dashboard's shell.

import type { CommandRegistry } from '@lumino/commands';
import type { ReactElement } from 'react';
import type { RunsStream } from '../../api/stream.js';
import type { ITranslation } from '../../format.js';
import type { RunsTableModel } from '../../models/table.js';
import { RegionPanel } from '../region.js';
import { Breakdown } from './breakdown.js';
import { DashboardBody } from './body.js';

/** All runs that one may see. */
export class DashboardPanel extends RegionPanel {
  constructor(
    readonly model: RunsTableModel,
    private readonly commands: CommandRegistry,
    private readonly stream: RunsStream,
    private readonly trans: ITranslation
  ) {
    super(trans.__('Mellea dashboard'), 'jp-MelleaDashboard-panel', model);
    this.id = 'mellea-dashboard';
  }

  protected override render(): ReactElement {
    const { model, commands, stream, trans } = this;
    return (
      <DashboardBody model={model} commands={commands} trans={trans}>
        <Breakdown model={model} stream={stream} trans={trans} />
      </DashboardBody>
    );
  }
}
