// The launch dialog: asks until the server accepts or the person gives up.

import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import type { ReactElement } from 'react';
import type { Run } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { LaunchForm, type IFormProps } from './form.js';
import type { ILaunchValues, LaunchField } from './values.js';

/** What the dialog needs; `submit` creates the run. */
export type LaunchOptions = Omit<IFormProps, 'onChange' | 'refusal'> & {
  title: string;
  /** The field to begin with; the first one when absent. */
  focus?: LaunchField;
  submit: (values: ILaunchValues) => Promise<Run>;
};

/** Ask for the values and submit them. Null when the person gave up. */
export async function showLaunchDialog(options: LaunchOptions): Promise<Run | null> {
  const { trans } = options;
  let initial = options.initial;
  let refusal = '';
  for (;;) {
    const body = new LaunchBody({ ...options, initial, refusal });
    const dialog = new Dialog({
      title: options.title,
      body,
      focusNodeSelector: focusSelector(options.focus),
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Run') })]
    });
    const result = await dialog.launch();
    if (!result.button.accept || result.value === null) {
      return null;
    }
    initial = result.value;
    try {
      return await options.submit(initial);
    } catch (error) {
      refusal = describeError(error);
    }
  }
}

/** Where the keyboard begins; of the variables, at what is still empty. */
function focusSelector(field: LaunchField | undefined): string {
  const wanted = field === 'variables' ? 'input[value=""]' : 'input:not(:disabled)';
  return `.jp-MelleaLaunch ${field === undefined ? '' : `[data-field="${field}"] `}${wanted}`;
}

class LaunchBody extends ReactWidget implements Dialog.IBodyWidget<ILaunchValues> {
  private values: ILaunchValues;
  private isValid = false;

  constructor(private readonly options: Omit<IFormProps, 'onChange'>) {
    super();
    this.values = options.initial;
    this.addClass('jp-MelleaLaunch-body');
  }

  getValue(): ILaunchValues {
    return this.values;
  }

  handleEvent(event: KeyboardEvent): void {
    const { target } = event;
    if (event.key !== 'Enter' || !(target instanceof HTMLElement) || !this.node.contains(target)) {
      return;
    }
    const form = target.closest('form');
    if (target instanceof HTMLButtonElement) {
      event.stopPropagation(); // it is pressed, and nothing else
    } else if (form || !this.isValid) {
      event.stopPropagation();
      event.preventDefault();
      form?.requestSubmit();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // On the document, because the dialog listens around us and takes Enter in a text for *Run*,
    // whether *Run* is disabled or not.
    document.addEventListener('keydown', this, true);
  }

  protected override onBeforeDetach(message: Message): void {
    document.removeEventListener('keydown', this, true);
    super.onBeforeDetach(message);
  }

  protected override render(): ReactElement {
    return <LaunchForm {...this.options} onChange={this.take} />;
  }

  private readonly take = (values: ILaunchValues, isValid: boolean): void => {
    this.values = values;
    this.isValid = isValid;
    this.allow(isValid);
  };

  /** *Run* can be pressed only when it can work. */
  private allow(isValid: boolean): void {
    const dialog = this.node.closest('.jp-Dialog');
    const button = dialog?.querySelector<HTMLButtonElement>('button.jp-mod-accept');
    if (button) {
      button.disabled = !isValid;
    }
  }
}
