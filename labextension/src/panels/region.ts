// The shell of a tab whose name does not change: a region that is called as its tab.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { runsIcon } from '../icons.js';

/** A tab's content; owns the model that it is given. */
export abstract class RegionPanel extends ReactWidget {
  constructor(
    label: string,
    className: string,
    private readonly owned: { dispose: () => void }
  ) {
    super();
    this.title.label = label;
    this.title.icon = runsIcon;
    this.title.closable = true;
    this.addClass(className);
    this.node.setAttribute('role', 'region');
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.owned.dispose();
      super.dispose();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // here, because MainAreaWidget gives its content a label of its own
    this.node.setAttribute('aria-label', this.title.label);
  }
}
