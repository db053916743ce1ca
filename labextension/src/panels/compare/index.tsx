// The comparison's shell.

import type { CommandRegistry } from '@lumino/commands';
import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import { RegionPanel } from '../region.js';
import { CompareBody } from './body.js';
import type { CompareModel } from './model.js';

/** Runs side by side. */
export class ComparePanel extends RegionPanel {
  constructor(
    readonly model: CompareModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    const label = trans._n('Compare %1 run', 'Compare %1 runs', model.runIds.length);
    super(label, 'jp-MelleaCompare-panel', model);
  }

  protected override render(): ReactElement {
    return <CompareBody model={this.model} commands={this.commands} trans={this.trans} />;
  }
}
