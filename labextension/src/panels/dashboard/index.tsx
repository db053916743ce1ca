// The dashboard's shell.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
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
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.model.dispose();
      super.dispose();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // here, because MainAreaWidget gives its content a label of its own
    this.node.setAttribute('aria-label', this.title.label);
  }

  protected override render(): ReactElement {
    return <DashboardBody model={this.model} commands={this.commands} trans={this.trans} />;
  }
}
