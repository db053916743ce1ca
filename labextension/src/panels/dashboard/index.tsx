// The dashboard's shell.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import { runsIcon } from '../../icons.js';
import type { RunsTableModel } from '../../models/table.js';
import { DashboardBody } from './body.js';

/** All runs that one may see. */
export class DashboardPanel extends ReactWidget {
  constructor(
    readonly model: RunsTableModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    super();
    this.id = 'mellea-dashboard';
    this.title.label = trans.__('Mellea dashboard');
    this.title.icon = runsIcon;
    this.title.closable = true;
    this.addClass('jp-MelleaDashboard-panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Mellea dashboard'));
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.model.dispose();
      super.dispose();
    }
  }

  protected override render(): ReactElement {
    return <DashboardBody model={this.model} commands={this.commands} trans={this.trans} />;
  }
}
