// The sidebar's shell: a region with a name, and a badge with the number of active runs.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import type { ReactElement } from 'react';
import { useStreamState } from '../../components/hooks.js';
import type { ITranslation } from '../../format.js';
import { runsIcon } from '../../icons.js';
import type { RunsModel } from '../../models/runs.js';
import { SidebarBody } from './body.js';

/** The panel in the left area. */
export class RunsSidebar extends ReactWidget {
  constructor(
    private readonly model: RunsModel,
    private readonly commands: CommandRegistry,
    private readonly trans: ITranslation
  ) {
    super();
    this.id = 'mellea-runs';
    this.title.icon = runsIcon;
    this.title.caption = trans.__('Mellea runs');
    this.addClass('jp-MelleaRuns-panel');
    this.node.setAttribute('role', 'region');
    this.node.tabIndex = -1;
    this.node.setAttribute('aria-label', trans.__('Mellea runs'));
    model.changed.connect(this.updateBadge, this);
  }

  override dispose(): void {
    this.model.changed.disconnect(this.updateBadge, this);
    super.dispose();
  }

  /** Whoever comes by the keyboard goes on in the panel. */
  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.focus();
  }

  protected override render(): ReactElement {
    return <Connected model={this.model} commands={this.commands} trans={this.trans} />;
  }

  private updateBadge(): void {
    const count = this.model.active.length;
    this.title.dataset = count > 0 ? { melleaactive: String(Math.min(count, 99)) } : {};
  }
}

function Connected(props: {
  model: RunsModel;
  commands: CommandRegistry;
  trans: ITranslation;
}): ReactElement {
  return <SidebarBody {...props} streamState={useStreamState(props.model.stream)} />;
}
