// The comparison's shell.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import { runsIcon } from '../../icons.js';
import { CompareBody } from './body.js';
import type { CompareModel } from './model.js';

/** Runs side by side. */
export class ComparePanel extends ReactWidget {
  constructor(
    readonly model: CompareModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    super();
    this.title.label = trans._n('Compare %1 run', 'Compare %1 runs', model.runIds.length);
    this.title.icon = runsIcon;
    this.title.closable = true;
    this.addClass('jp-MelleaCompare-panel');
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
    return <CompareBody model={this.model} commands={this.commands} trans={this.trans} />;
  }
}
