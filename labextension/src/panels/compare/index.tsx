// The comparison's shell; what is drawn is loaded when the first one is opened.

import type { ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { RunsStream } from '../../api/stream.js';
import type { ICommands } from '../../commands.js';
import type { ITranslation } from '../../format.js';
import type { Compared } from '../../models/comparison.js';
import { RegionPanel } from '../region.js';
import type * as Content from './content.js';

/** What a comparison needs. */
export interface ICompareOptions {
  api: RunsApi;
  stream: RunsStream;
  commands: ICommands;
  trans: ITranslation;
}

/** Runs side by side. */
export class ComparePanel extends RegionPanel {
  private content: typeof Content | null = null;

  constructor(
    readonly compared: Compared,
    private readonly options: ICompareOptions
  ) {
    const { trans } = options;
    const label =
      'run_ids' in compared
        ? trans._n('Compare %1 run', 'Compare %1 runs', compared.run_ids.length)
        : trans.__('Compare a group');
    super(label, 'jp-MelleaCompare-panel', { dispose: () => undefined });
    void import('./content.js').then(content => {
      this.content = content;
      this.update();
    });
  }

  protected override render(): ReactElement | null {
    return this.content === null ? null : (
      <this.content.CompareContent compared={this.compared} {...this.options} />
    );
  }
}
