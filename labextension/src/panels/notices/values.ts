// What the preferences form asks for, and how it becomes a request. Pure.

import type { NotificationPreferencesPatch, NotificationSettings } from '../../api/schema.js';
import type { ITranslation } from '../../format.js';

/** The fields of the form, as typed. */
export interface IPreferenceValues {
  emailOnRun: boolean;
  emailOnShared: boolean;
  toast: boolean;
  failuresOnly: boolean;
  address: string;
  isQuiet: boolean;
  quietStart: string;
  quietEnd: string;
  timeZone: string;
}

/** A field of the form. */
export type PreferenceField = keyof IPreferenceValues;

/** A problem, next to its field. */
export interface IPreferenceProblem {
  field: PreferenceField;
  text: string;
}

/** The fields of the API, by the server's names, for its refusals. */
const FIELDS: Record<string, PreferenceField> = {
  email_address: 'address',
  time_zone: 'timeZone',
  quiet_hours: 'quietStart',
  email_on_run_complete: 'emailOnRun',
  email_on_shared_complete: 'emailOnShared'
};

const ADDRESS = /^[^\s@<>",;:()[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const CLOCK = /^([01]\d|2[0-3]):[0-5]\d$/;

/** The form for these preferences; quiet hours that were never set offer `ownZone`. */
export function preferenceValues(
  settings: NotificationSettings,
  ownZone: string
): IPreferenceValues {
  const { quiet_hours } = settings;
  return {
    emailOnRun: settings.email_on_run_complete,
    emailOnShared: settings.email_on_shared_complete,
    toast: settings.toast_enabled,
    failuresOnly: settings.failures_only,
    address: settings.email_address ?? '',
    isQuiet: quiet_hours !== null,
    quietStart: quiet_hours?.start ?? '22:00',
    quietEnd: quiet_hours?.end ?? '07:00',
    timeZone: quiet_hours === null ? ownZone : settings.time_zone
  };
}

/** What has to be mended before the form can be saved. */
export function findPreferenceProblems(
  values: IPreferenceValues,
  settings: NotificationSettings,
  trans: ITranslation
): IPreferenceProblem[] {
  const problems: IPreferenceProblem[] = [];
  const address = values.address.trim();
  if (address && !ADDRESS.test(address)) {
    problems.push({
      field: 'address',
      text: trans.__('Not a mail address. Write it like ada@example.org.')
    });
  }
  const wantsMail = values.emailOnRun || values.emailOnShared;
  if (wantsMail && !address && settings.default_email_address === null) {
    problems.push({ field: 'address', text: trans.__('Needed for mail.') });
  }
  if (values.isQuiet) {
    if (!CLOCK.test(values.quietStart)) {
      problems.push({ field: 'quietStart', text: trans.__('A time such as 22:00.') });
    }
    if (!CLOCK.test(values.quietEnd)) {
      problems.push({ field: 'quietEnd', text: trans.__('A time such as 07:00.') });
    } else if (values.quietStart === values.quietEnd) {
      problems.push({ field: 'quietEnd', text: trans.__('Has to differ from the start.') });
    }
    if (!values.timeZone.trim()) {
      problems.push({ field: 'timeZone', text: trans.__('A zone such as Europe/Lisbon.') });
    }
  }
  return problems;
}

/** The preferences that the form stands for. */
export function preferencesOf(values: IPreferenceValues): NotificationPreferencesPatch {
  const quiet = values.isQuiet
    ? {
        quiet_hours: { start: values.quietStart, end: values.quietEnd },
        time_zone: values.timeZone.trim()
      }
    : { quiet_hours: null };
  return {
    email_on_run_complete: values.emailOnRun,
    email_on_shared_complete: values.emailOnShared,
    toast_enabled: values.toast,
    failures_only: values.failuresOnly,
    email_address: values.address.trim() || null,
    ...quiet
  };
}

/** The field that the server's refusal names; undefined where it is none of the form's. */
export function refusedField(details: Record<string, unknown>): PreferenceField | undefined {
  const field = details['field'];
  return typeof field === 'string' ? FIELDS[field.split('.')[0] ?? ''] : undefined;
}
