// The dashboard's shell.

import type { CommandRegistry } from '@lumino/commands';
import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import type { RunsTableModel } from '../../models/table.js';
import { RegionPanel } from '../region.js';
import { DashboardBody } from './body.js';

/** All runs that one may see. */
export class DashboardPanel extends RegionPanel {
  constructor(
    readonly model: RunsTableModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    super(trans.__('Mellea dashboard'), 'jp-MelleaDashboard-panel', model);
    this.id = 'mellea-dashboard';
  }

  protected override render(): ReactElement {
    return <DashboardBody model={this.model} commands={this.commands} trans={this.trans} />;
  }
}
