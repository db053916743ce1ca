// The preferences form (spec.md §5.10.2) as a dialog: asks until the server accepts it.

import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import {
  useId,
  useState,
  type InputHTMLAttributes,
  type ReactElement,
  type ReactNode
} from 'react';
import type { LabApi } from '../../api/lab.js';
import { ApiError } from '../../api/rest.js';
import type { NotificationSettings } from '../../api/schema.js';
import type { ITranslation } from '../../format.js';
import { describeError } from '../../components/errors.js';
import {
  findPreferenceProblems,
  preferencesOf,
  preferenceValues,
  refusedField,
  type IPreferenceProblem,
  type IPreferenceValues,
  type PreferenceField
} from './values.js';

/** Show the form and save it. Resolves when it was saved or given up. */
export async function editPreferences(
  api: LabApi,
  settings: NotificationSettings,
  trans: ITranslation
): Promise<void> {
  const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  let initial = preferenceValues(settings, ownZone);
  let refusal: IRefusal | null = null;
  for (;;) {
    const body = new PreferencesBody({ initial, settings, refusal, api, trans });
    const dialog = new Dialog({
      title: trans.__('Notification preferences'),
      body,
      focusNodeSelector: '.jp-MelleaPreferences input:not(:disabled)',
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Save') })]
    });
    const result = await dialog.launch();
    if (!result.button.accept || result.value === null) {
      return;
    }
    initial = result.value;
    try {
      await api.updateNotificationPreferences(preferencesOf(initial));
      return;
    } catch (error) {
      const field = error instanceof ApiError ? refusedField(error.body.details) : undefined;
      // The server begins with its name of the field; here the text stands beside the field.
      const text = describeError(error).replace(/^[\w.]+: /, `${trans.__('This')} `);
      refusal = { text: field ? text : describeError(error), field };
    }
  }
}

/** What the server said of the values as they were sent. */
interface IRefusal {
  text: string;
  field: PreferenceField | undefined;
}

/** The fields that are typed. */
type TextField = 'address' | 'quietStart' | 'quietEnd' | 'timeZone';

interface IFormProps {
  initial: IPreferenceValues;
  settings: NotificationSettings;
  refusal: IRefusal | null;
  api: Pick<LabApi, 'sendTestMail'>;
  trans: ITranslation;
}

class PreferencesBody extends ReactWidget implements Dialog.IBodyWidget<IPreferenceValues> {
  private values: IPreferenceValues;

  constructor(private readonly options: IFormProps) {
    super();
    this.values = options.initial;
    this.addClass('jp-MelleaPreferences-body');
  }

  getValue(): IPreferenceValues {
    return this.values;
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.allowSaving();
  }

  protected override render(): ReactElement {
    return (
      <PreferencesForm
        {...this.options}
        onChange={values => {
          this.values = values;
          this.allowSaving();
        }}
      />
    );
  }

  private allowSaving(): void {
    const { settings, trans } = this.options;
    const button = this.node
      .closest('.jp-Dialog')
      ?.querySelector<HTMLButtonElement>('button.jp-mod-accept');
    if (button) {
      button.disabled = findPreferenceProblems(this.values, settings, trans).length > 0;
    }
  }
}

/** The form. */
export function PreferencesForm(
  props: IFormProps & { onChange: (values: IPreferenceValues) => void }
): ReactElement {
  const { settings, refusal, trans } = props;
  const [values, setValues] = useState(props.initial);
  const problems = findPreferenceProblems(values, settings, trans);
  const isAsSent = values === props.initial;
  if (refusal?.field && isAsSent) {
    problems.push({ field: refusal.field, text: refusal.text });
  }
  const set = (change: Partial<IPreferenceValues>): void => {
    const changed = { ...values, ...change };
    setValues(changed);
    props.onChange(changed);
  };
  const noMail = settings.email_available
    ? ''
    : (settings.email_unavailable_reason ?? trans.__('This server can not send mail.'));
  const text = (
    field: TextField,
    label: string,
    input: InputHTMLAttributes<HTMLInputElement> = {}
  ): ReactElement => (
    <Text
      label={label}
      problems={problems.filter(problem => problem.field === field)}
      input={{
        ...input,
        disabled: noMail !== '',
        value: values[field],
        onChange: event => set({ [field]: event.target.value })
      }}
    />
  );
  return (
    <div className="jp-MelleaPreferences">
      {refusal && !refusal.field && isAsSent && (
        <p className="jp-MelleaPreferences-refusal" role="alert">
          {refusal.text}
        </p>
      )}
      <fieldset>
        <legend>{trans.__('In JupyterLab')}</legend>
        <Switch
          label={trans.__('In-app toast notifications')}
          hint={trans.__('The bell lists every run that ends, also without toasts.')}
          checked={values.toast}
          onChange={toast => set({ toast })}
        />
      </fieldset>
      <fieldset>
        <legend>{trans.__('Mail')}</legend>
        {noMail && (
          <p className="jp-MelleaPreferences-note" role="note">
            {noMail}
          </p>
        )}
        <Switch
          label={trans.__('Email on run completion')}
          hint={trans.__('When a run failed, or took over a minute.')}
          checked={values.emailOnRun}
          isDisabled={noMail !== ''}
          onChange={emailOnRun => set({ emailOnRun })}
        />
        <Switch
          label={trans.__('Email on shared run completion')}
          hint={trans.__('Runs can not be shared yet; this is kept for when they can.')}
          checked={values.emailOnShared}
          isDisabled={noMail !== ''}
          onChange={emailOnShared => set({ emailOnShared })}
        />
        {text('address', trans.__('Mail address'), {
          type: 'email',
          autoComplete: 'email',
          placeholder: settings.default_email_address ?? 'ada@example.org'
        })}
        {!noMail && (
          <TestMail
            api={props.api}
            address={values.address.trim() || settings.default_email_address}
            isDisabled={problems.some(problem => problem.field === 'address')}
            trans={trans}
          />
        )}
        <Switch
          label={trans.__('Quiet hours')}
          hint={trans.__('Mails wait until they are over.')}
          checked={values.isQuiet}
          isDisabled={noMail !== ''}
          onChange={isQuiet => set({ isQuiet })}
        />
        {values.isQuiet && (
          <div className="jp-MelleaPreferences-quiet">
            {text('quietStart', trans.__('From'), { type: 'time' })}
            {text('quietEnd', trans.__('To'), { type: 'time' })}
            {text('timeZone', trans.__('Time zone'))}
          </div>
        )}
      </fieldset>
      <fieldset>
        <legend>{trans.__('Toasts and mail')}</legend>
        <Switch
          label={trans.__('Only when a run fails')}
          hint={trans.__('No toast and no mail about runs that succeed or are cancelled.')}
          checked={values.failuresOnly}
          onChange={failuresOnly => set({ failuresOnly })}
        />
      </fieldset>
    </div>
  );
}

function Switch(props: {
  label: string;
  hint: string;
  checked: boolean;
  isDisabled?: boolean;
  onChange: (checked: boolean) => void;
}): ReactElement {
  const id = useId();
  return (
    <div className="jp-MelleaPreferences-switch">
      <input
        id={id}
        type="checkbox"
        role="switch"
        aria-describedby={`${id}-hint`}
        checked={props.checked}
        disabled={props.isDisabled}
        onChange={event => props.onChange(event.target.checked)}
      />
      <label htmlFor={id}>{props.label}</label>
      <span id={`${id}-hint`}>{props.hint}</span>
    </div>
  );
}

function Text(props: {
  label: string;
  /** Those of this field. */
  problems: readonly IPreferenceProblem[];
  input: InputHTMLAttributes<HTMLInputElement>;
}): ReactElement {
  const id = useId();
  const own = props.problems;
  const described: ReactNode = own.length > 0 && (
    <span id={`${id}-problem`} className="jp-MelleaPreferences-problem" role="status">
      {own.map(problem => problem.text).join(' ')}
    </span>
  );
  return (
    <div className="jp-MelleaPreferences-text">
      <label htmlFor={id}>{props.label}</label>
      <input
        id={id}
        className="jp-mod-styled"
        aria-invalid={own.length > 0}
        aria-describedby={own.length > 0 ? `${id}-problem` : undefined}
        {...props.input}
      />
      {described}
    </div>
  );
}

/** Sends a mail to the address as typed, and says what became of it. */
function TestMail(props: {
  api: Pick<LabApi, 'sendTestMail'>;
  address: string | null;
  isDisabled: boolean;
  trans: ITranslation;
}): ReactElement {
  const { address, trans } = props;
  const [said, setSaid] = useState<{ text: string; isError: boolean } | null>(null);
  const [isSending, setSending] = useState(false);
  const send = async (): Promise<void> => {
    setSending(true);
    setSaid(null);
    try {
      const reply = await props.api.sendTestMail(address);
      setSaid({ text: trans.__('Sent to %1.', reply.address), isError: false });
    } catch (error) {
      setSaid({ text: describeError(error), isError: true });
    } finally {
      setSending(false);
    }
  };
  return (
    <div className="jp-MelleaPreferences-test">
      <button
        type="button"
        className="jp-MelleaButton"
        disabled={isSending || props.isDisabled || address === null}
        onClick={() => void send()}
      >
        {isSending ? trans.__('Sending…') : trans.__('Send a test mail')}
      </button>
      <span role="status" className={said?.isError ? 'jp-MelleaPreferences-problem' : undefined}>
        {said?.text}
      </span>
    </div>
  );
}
