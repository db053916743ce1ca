// The bell: how many notices are unread, and the button that opens their list.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';
import { useSignal } from '../../components/hooks.js';
import { Icon } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import type { NoticesModel } from '../../models/notices.js';
import type { NoticesPopup } from './popup.js';

/** The bell's shell, an item of the top bar. */
export class NoticesBell extends ReactWidget {
  constructor(
    private readonly model: NoticesModel,
    private readonly popup: NoticesPopup,
    private readonly trans: ITranslation
  ) {
    super();
    this.addClass('jp-MelleaBell');
  }

  protected override render(): ReactElement {
    return <Bell model={this.model} popup={this.popup} trans={this.trans} />;
  }
}

/** The button. */
export function Bell(props: {
  model: NoticesModel;
  popup: Pick<NoticesPopup, 'toggled' | 'isOpen' | 'toggle'>;
  trans: ITranslation;
}): ReactElement {
  const { model, popup, trans } = props;
  useSignal(model.changed);
  useSignal(popup.toggled);
  const { unread } = model;
  const label = trans.__('Notifications, %1 unread', unread);
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      aria-haspopup="dialog"
      aria-expanded={popup.isOpen}
      onClick={event => popup.toggle(event.currentTarget)}
    >
      <Icon name="bell" />
      {unread > 0 && (
        <span className="jp-MelleaBell-count" aria-hidden="true">
          {unread > 99 ? '99+' : unread}
        </span>
      )}
    </button>
  );
}
