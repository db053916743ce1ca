// The list of notices as a popup below the bell: Escape and a click elsewhere close it.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal, type ISignal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import type { ReactElement } from 'react';
import type { ITranslation } from '../../format.js';
import type { NoticesModel } from '../../models/notices.js';
import { NoticesList, type INoticeActions } from './body.js';

const GAP = 4;
const MARGIN = 8;

/** Opens and closes the list. */
export class NoticesPopup {
  private shell: PopupShell | null = null;
  private readonly toggledSignal = new Signal<this, void>(this);

  constructor(
    private readonly model: NoticesModel,
    private readonly actions: Omit<INoticeActions, 'close'>,
    private readonly trans: ITranslation
  ) {}

  /** It was opened or closed. */
  get toggled(): ISignal<this, void> {
    return this.toggledSignal;
  }

  get isOpen(): boolean {
    return this.shell !== null;
  }

  /** Open it below `anchor`, or close it. */
  toggle(anchor: HTMLElement): void {
    if (this.shell) {
      this.close();
      return;
    }
    const shell = new PopupShell(
      this.model,
      { ...this.actions, close: () => this.close() },
      anchor,
      this.trans
    );
    shell.disposed.connect(() => {
      this.shell = null;
      this.toggledSignal.emit();
    });
    this.shell = shell;
    Widget.attach(shell, document.body);
    this.toggledSignal.emit();
  }

  close(): void {
    this.shell?.dispose();
  }
}

class PopupShell extends ReactWidget {
  constructor(
    private readonly model: NoticesModel,
    private readonly actions: INoticeActions,
    private readonly anchor: HTMLElement,
    private readonly trans: ITranslation
  ) {
    super();
    this.addClass('jp-MelleaNotices');
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', trans.__('Notifications'));
    this.node.tabIndex = -1;
  }

  handleEvent(event: Event): void {
    if (event.type === 'resize') {
      this.place();
    } else if (event.type === 'keydown') {
      if ((event as KeyboardEvent).key === 'Escape') {
        event.stopPropagation();
        this.actions.close();
        this.anchor.focus();
      }
    } else if (!this.holds(event.target) && !this.anchor.contains(event.target as Node)) {
      this.actions.close();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.node.addEventListener('keydown', this);
    document.addEventListener('pointerdown', this, true);
    window.addEventListener('resize', this);
    this.place();
    this.node.focus();
  }

  protected override onBeforeDetach(message: Message): void {
    this.node.removeEventListener('keydown', this);
    document.removeEventListener('pointerdown', this, true);
    window.removeEventListener('resize', this);
    super.onBeforeDetach(message);
  }

  protected override render(): ReactElement {
    return <NoticesList model={this.model} actions={this.actions} trans={this.trans} />;
  }

  private holds(target: EventTarget | null): boolean {
    return target instanceof Node && this.node.contains(target);
  }

  /** Below the anchor, its right edge at the anchor's, within the window. */
  private place(): void {
    const { bottom, right } = this.anchor.getBoundingClientRect();
    const top = Math.min(bottom + GAP, window.innerHeight / 2);
    this.node.style.top = `${top}px`;
    this.node.style.right = `${Math.max(MARGIN, window.innerWidth - right)}px`;
    this.node.style.maxHeight = `${Math.max(160, window.innerHeight - top - MARGIN)}px`;
  }
}
